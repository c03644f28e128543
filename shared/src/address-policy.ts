import ipaddr from "ipaddr.js";

/** The addresses and hosts that an operator allows beyond public addresses. */
export interface AddressPolicy {
  /** IP ranges, such as `10.0.0.0/8` or `fd00::/8`. */
  readonly cidrs: readonly [ipaddr.IPv4 | ipaddr.IPv6, number][];
  /** Host names in lower case that may be reached whatever their addresses are. */
  readonly hosts: ReadonlySet<string>;
}

/**
 * Reads an allow-list from configuration: each entry is a CIDR range, a single address or a host name.
 *
 * @throws RangeError naming the entry that is none of these.
 */
export function parseAddressPolicy(allow: readonly string[]): AddressPolicy {
  const cidrs: [ipaddr.IPv4 | ipaddr.IPv6, number][] = [];
  const hosts = new Set<string>();
  for (const entry of allow) {
    const text = entry.trim().toLowerCase();
    if (isRange(text)) cidrs.push(ipaddr.parseCIDR(text));
    else if (isAddress(text)) cidrs.push(ipaddr.parseCIDR(`${text}/${ipaddr.IPv6.isValid(text) ? 128 : 32}`));
    else if (/^[a-z0-9_]([a-z0-9_.-]*[a-z0-9])?$/.test(text) && !/^[0-9.]+$/.test(text)) hosts.add(text);
    else throw new RangeError(`"${entry}" is neither a CIDR range, an address nor a host name.`);
  }
  return { cidrs, hosts };
}

/**
 * Only the four-part form is read: some programs take `10.0.0` and `0x7f.1` for addresses, but mostly they are
 * mistakes.
 */
function isAddress(text: string): boolean {
  return ipaddr.IPv6.isValid(text) || ipaddr.IPv4.isValidFourPartDecimal(text);
}

function isRange(text: string): boolean {
  return ipaddr.IPv6.isValidCIDR(text) || ipaddr.IPv4.isValidCIDRFourPartDecimal(text);
}

export type AddressVerdict =
  | { readonly allowed: true }
  /** `why` finishes the words "its address is …". */
  | { readonly allowed: false; readonly why: string };

/** The addresses at which clouds serve an instance its credentials. No allow-list opens these. */
const METADATA_ADDRESSES = new Set(
  [
    "169.254.169.254", // AWS, Azure, Google Cloud, Tencent Cloud
    "169.254.0.23", // Tencent Cloud
    "169.254.170.2", // AWS ECS task credentials
    "100.100.100.200", // Alibaba Cloud
    "168.63.129.16", // Azure's wire server
    "fd00:ec2::254", // AWS over IPv6
    "fd20:ce::254", // Google Cloud over IPv6
  ].map((text) => ipaddr.parse(text).toNormalizedString()),
);

const ALLOWED: AddressVerdict = { allowed: true };

/** Ranges that are refused unless allowed, with the words for the message. Every range but `unicast` is refused. */
const RANGE_WORDS: Readonly<Record<string, string>> = {
  unspecified: "unspecified (it means this machine)",
  broadcast: "a broadcast address",
  multicast: "a multicast address",
  linkLocal: "link-local",
  loopback: "loopback (this machine)",
  carrierGradeNat: "in the carrier-grade NAT range",
  private: "private",
  uniqueLocal: "private",
};

const refused = (why: string): AddressVerdict => ({ allowed: false, why });

/** 64:ff9b:1::/48, NAT64 within one operator's network (RFC 8215). The place of the IPv4 address in it is not known. */
const LOCAL_NAT64 = ipaddr.parseCIDR("64:ff9b:1::/48");
/** ::/96, IPv4-compatible IPv6 (RFC 4291, section 2.5.5.1; deprecated). */
const IPV4_COMPATIBLE = ipaddr.parseCIDR("::/96");

/**
 * Returns the IPv4 address at which a packet to an IPv6 address ends: IPv4-mapped (RFC 4291), NAT64 (RFC 6052), 6to4
 * (RFC 3056); ISATAP is not routed. Returns undefined if the address carries no IPv4 address.
 */
function innerIpv4(address: ipaddr.IPv6): ipaddr.IPv4 | undefined {
  if (address.isIPv4MappedAddress()) return address.toIPv4Address();
  const bytes = address.toByteArray();
  const range = address.range();
  if (range === "rfc6052" || range === "rfc6145") return new ipaddr.IPv4(bytes.slice(12, 16));
  if (range === "6to4") return new ipaddr.IPv4(bytes.slice(2, 6));
  // `::` and `::1` are in the range too, and have names in the table above.
  if (range === "unicast" && address.match(IPV4_COMPATIBLE)) return new ipaddr.IPv4(bytes.slice(12, 16));
  return undefined;
}

function isListed(policy: AddressPolicy, address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  return policy.cidrs.some(([range, bits]) => range.kind() === address.kind() && address.match(range, bits));
}

/**
 * Returns true if an operator's ranges include an address, or the IPv4 address inside it. Pure.
 *
 * @param address an address literal, without brackets.
 */
export function listsAddress(policy: AddressPolicy, address: string): boolean {
  if (!isAddress(address)) return false;
  const parsed = ipaddr.parse(address);
  const inner = parsed instanceof ipaddr.IPv6 ? innerIpv4(parsed) : undefined;
  return isListed(policy, parsed) || (inner !== undefined && isListed(policy, inner));
}

/**
 * Decides if a connection to an address may be made on a user's behalf. Pure. An IPv6 address that carries an IPv4
 * address is judged by the IPv4 address.
 *
 * @param address an address literal, without brackets; a zone (`%eth0`) is refused with its link-local address.
 * @param hostname the host name that led to it, in lower case.
 */
export function judgeAddress(policy: AddressPolicy, address: string, hostname?: string): AddressVerdict {
  if (!isAddress(address)) return refused("not an IP address");
  const parsed = ipaddr.parse(address);
  const inner = parsed instanceof ipaddr.IPv6 ? innerIpv4(parsed) : undefined;
  const judged = inner ?? parsed;
  if (METADATA_ADDRESSES.has(judged.toNormalizedString())) return refused("a cloud's metadata service");
  if (hostname !== undefined && policy.hosts.has(hostname)) return ALLOWED;
  if (isListed(policy, judged) || isListed(policy, parsed)) return ALLOWED;
  if (parsed instanceof ipaddr.IPv6 && parsed.match(LOCAL_NAT64)) return refused("reserved");
  const range = judged.range();
  return range === "unicast" ? ALLOWED : refused(RANGE_WORDS[range] ?? "reserved");
}
