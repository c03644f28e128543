import { describe, expect, it } from "vitest";
import { judgeAddress, parseAddressPolicy } from "./address-policy.ts";

const NOTHING_ALLOWED = parseAddressPolicy([]);

describe("Address policy", () => {
  it.each([
    ["93.184.216.34", undefined],
    ["2606:2800:220:1:248:1893:25c8:1946", undefined],
    ["127.0.0.1", "loopback"],
    ["127.255.255.254", "loopback"],
    ["::1", "loopback"],
    ["0.0.0.0", "unspecified"],
    ["0.1.2.3", "unspecified"],
    ["::", "unspecified"],
    ["10.0.0.1", "private"],
    ["172.16.0.1", "private"],
    ["172.31.255.255", "private"],
    ["172.32.0.1", undefined],
    ["192.168.1.1", "private"],
    ["fd12:3456::1", "private"],
    ["169.254.1.1", "link-local"],
    ["fe80::1", "link-local"],
    ["fe80::1%eth0", "link-local"],
    ["169.254.169.254", "metadata"],
    ["169.254.0.23", "metadata"],
    ["100.100.100.200", "metadata"],
    ["fd00:ec2::254", "metadata"],
    ["100.64.0.1", "carrier-grade NAT"],
    ["224.0.0.1", "multicast"],
    ["ff02::1", "multicast"],
    ["255.255.255.255", "broadcast"],
    ["240.0.0.1", "reserved"],
    ["192.0.2.1", "reserved"],
    ["198.18.0.1", "reserved"],
    ["2001:db8::1", "reserved"],
    // An IPv6 address that carries an IPv4 address is judged by the IPv4 address.
    ["::ffff:127.0.0.1", "loopback"],
    ["::ffff:7f00:1", "loopback"],
    ["::ffff:93.184.216.34", undefined],
    ["::ffff:169.254.169.254", "metadata"],
    ["64:ff9b::10.0.0.1", "private"],
    ["64:ff9b::169.254.169.254", "metadata"],
    ["64:ff9b::93.184.216.34", undefined],
    ["64:ff9b:1::a00:1", "reserved"],
    ["64:ff9b:1::5db8:d822", "reserved"],
    ["2002:7f00:1::", "loopback"],
    ["2002:a9fe:a9fe::1", "metadata"],
    ["::127.0.0.1", "loopback"],
    // The address of a tunnel does not say where the tunnel ends.
    ["2001:0:4136:e378:8000:63bf:3fff:fdd2", "reserved"],
    ["not an address", "not an IP address"],
  ])("judges %s with the reason for a refusal: %s", (address, why) => {
    const verdict = judgeAddress(NOTHING_ALLOWED, address);
    expect(verdict.allowed ? undefined : verdict.why.match(why ?? "")?.[0]).toBe(why);
  });

  it.each([
    [["127.0.0.0/8"], "127.0.0.1", undefined, true],
    [["127.0.0.1"], "127.0.0.1", undefined, true],
    [["127.0.0.1"], "127.0.0.2", undefined, false],
    [["127.0.0.1"], "::ffff:127.0.0.1", undefined, true],
    [["10.0.0.0/8"], "10.9.8.7", "files.example", true],
    [["10.0.0.0/8"], "192.168.0.1", undefined, false],
    [["fd00::/8"], "fd12::1", undefined, true],
    [["Files.Internal"], "10.0.0.1", "files.internal", true],
    [["files.internal"], "10.0.0.1", "other.internal", false],
    [["files.internal"], "10.0.0.1", undefined, false],
    // An allow-list never opens a metadata service.
    [["169.254.0.0/16", "0.0.0.0/0", "files.internal"], "169.254.169.254", "files.internal", false],
    [["fd00::/8"], "fd00:ec2::254", undefined, false],
  ])("with %j on the allow-list, judges %s of the host %s as allowed: %s", (allow, address, hostname, allowed) => {
    expect(judgeAddress(parseAddressPolicy(allow), address, hostname).allowed).toBe(allowed);
  });

  it.each(["10.0.0.0/99", "a b", "http://files.internal", "10.0.0", ""])("refuses the allow-list entry %j", (entry) => {
    expect(() => parseAddressPolicy([entry])).toThrow(RangeError);
  });
});
