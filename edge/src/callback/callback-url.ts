import { type AddressPolicy, judgeAddress, listsAddress } from "@roomcast/shared";

/** The description of an acceptable URL, as a noun phrase after the word "expected"; null if the judged URL is acceptable. */
export type UrlProblem = string | null;

const MAX_URL_LENGTH = 2048;
const EXPECTED = `an https:// URL of at most ${MAX_URL_LENGTH} characters, without spaces, a user name or a password`;
/**
 * The form of URLs that all parsers read in the same way. The URL parser drops tabs and line ends, reads `https:host` as
 * `https://host`, and a backslash as a slash. Other parsers do not, so a URL that contains any of these may mean different
 * addresses to different parsers.
 */
const PLAIN_URL = /^https?:\/\/[^\s\\\p{Cc}]+$/iu;

/**
 * Names that are reserved for the local machine, a private network or no host at all (RFC 2606, RFC 6761, RFC 6762, RFC 7686,
 * RFC 9476), and the name of Tencent Cloud's metadata service, which gives a machine its secrets.
 */
const PRIVATE_NAMES = [
  "localhost",
  "localdomain",
  "local",
  "internal",
  "intranet",
  "lan",
  "home",
  "corp",
  "home.arpa",
  "alt",
  "test",
  "invalid",
  "onion",
  "metadata.tencentyun.com",
];

/**
 * Judges whether events may be sent to a URL on a user's behalf. Returns null if they may, and otherwise a description of an
 * acceptable URL. https is allowed to public hosts, http only to hosts that the policy lists. Host names are not looked up
 * here, because workerd connects by name and might get another address. workerd itself refuses private addresses by default
 * (e2e/src/callback-network.test.ts). Pure.
 */
export function judgeCallbackUrl(text: string, policy: AddressPolicy): UrlProblem {
  if (text.length > MAX_URL_LENGTH || !PLAIN_URL.test(text)) return EXPECTED;
  const url = URL.parse(text);
  if (url === null || url.hostname === "" || url.username !== "" || url.password !== "") return EXPECTED;
  // The parser has converted every notation of an IPv4 address (decimal, octal, hexadecimal, fewer parts) to dotted decimal.
  const host = url.hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  const isAddress = url.hostname.startsWith("[") || /^[0-9.]+$/.test(host);
  const isListed = policy.hosts.has(host) || (isAddress && listsAddress(policy, host));
  if (url.protocol === "http:" && !isListed)
    return `${EXPECTED}; http:// is allowed only for hosts in CALLBACK_ALLOW_HOSTS`;
  const why = isAddress ? addressProblem(policy, host) : isListed ? null : nameProblem(host);
  return why === null
    ? null
    : `the URL of a public server (the host of this URL is ${why}, and CALLBACK_ALLOW_HOSTS does not list it)`;
}

function addressProblem(policy: AddressPolicy, host: string): string | null {
  const verdict = judgeAddress(policy, host, host);
  return verdict.allowed ? null : verdict.why;
}

function nameProblem(host: string): string | null {
  const labels = host.split(".");
  if (labels.length < 2) return "a name without a domain";
  const isPrivate = PRIVATE_NAMES.some((name) => host === name || host.endsWith(`.${name}`));
  return isPrivate ? "a name of a private network" : null;
}
