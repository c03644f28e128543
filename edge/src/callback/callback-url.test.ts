import { parseAddressPolicy } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { judgeCallbackUrl } from "./callback-url.ts";

const NOTHING = parseAddressPolicy([]);

describe("judgeCallbackUrl", () => {
  it.each([
    "https://hooks.example.com/roomcast?token=a",
    "https://hooks.example.com:8443/",
    "https://93.184.216.34/",
    "https://[2606:2800:220:1:248:1893:25c8:1946]/",
    "https://xn--fiqs8s.example/",
  ])("allows %s", (url) => {
    expect(judgeCallbackUrl(url, NOTHING)).toBeNull();
  });

  it.each([
    ["plain http", "http://hooks.example.com/"],
    ["another scheme", "ftp://hooks.example.com/"],
    ["no URL", "hooks.example.com"],
    ["a URL without slashes", "https:hooks.example.com"],
    ["a user and a password", "https://user:password@hooks.example.com/"],
    ["a user that looks like a host", "https://hooks.example.com@10.0.0.1/"],
    ["a backslash", "https://hooks.example.com\\@10.0.0.1/"],
    ["a tab in the host", "https://hooks.exam\tple.com/"],
    ["a line end", "https://hooks.example.com/\r\nHost: internal"],
    ["too long a URL", `https://hooks.example.com/${"x".repeat(2048)}`],
    ["loopback", "https://127.0.0.1/"],
    ["loopback with a dot at the end", "https://127.0.0.1./"],
    ["loopback in decimal", "https://2130706433/"],
    ["loopback in octal", "https://0177.0.0.1/"],
    ["loopback in hexadecimal", "https://0x7f000001/"],
    ["loopback in parts of both", "https://0x7f.1/"],
    ["loopback in wide digits", "https://１２７.０.０.１/"],
    ["loopback percent-encoded", "https://%31%32%37.0.0.1/"],
    ["this machine", "https://0.0.0.0/"],
    ["this machine, short", "https://0/"],
    ["IPv6 loopback", "https://[::1]/"],
    ["IPv6 loopback in full", "https://[0:0:0:0:0:0:0:1]/"],
    ["IPv4 in IPv6", "https://[::ffff:10.0.0.1]/"],
    ["IPv4 in IPv6 in hexadecimal", "https://[::ffff:a00:1]/"],
    ["IPv4-compatible IPv6", "https://[::7f00:1]/"],
    ["NAT64", "https://[64:ff9b::a00:1]/"],
    ["6to4", "https://[2002:7f00:1::]/"],
    ["a unique local address", "https://[fd00::1]/"],
    ["link-local", "https://[fe80::1]/"],
    ["a private address", "https://192.168.1.10/"],
    ["carrier-grade NAT", "https://100.64.0.1/"],
    ["metadata", "https://169.254.169.254/latest/meta-data"],
    ["metadata in decimal", "https://2852039166/"],
    ["localhost", "https://localhost/"],
    ["localhost with a dot at the end", "https://localhost./"],
    ["a name below localhost", "https://a.localhost/"],
    ["a name in capitals", "https://LOCALHOST/"],
    ["a cloud's internal name", "https://metadata.google.internal/"],
    ["Tencent Cloud's metadata", "https://metadata.tencentyun.com/latest/meta-data"],
    ["a name for tests", "https://hooks.test/"],
    ["a name of the local link", "https://printer.local/"],
    ["a name without a domain", "https://redis/"],
  ])("refuses %s", (_what, url) => {
    expect(judgeCallbackUrl(url, NOTHING)).toMatch(/https|public server/);
  });

  it("allows what the operator lists, by http too, and nothing else", () => {
    const policy = parseAddressPolicy([
      "127.0.0.1",
      "10.1.0.0/16",
      "hooks.internal",
      "plain.example.com",
      "93.184.216.34",
    ]);
    const open = [
      "http://127.0.0.1:8080/",
      "https://127.0.0.1/",
      "http://2130706433/",
      "http://10.1.2.3/",
      "http://[::ffff:10.1.2.3]/",
      "http://hooks.internal/",
      "http://plain.example.com/",
      "http://93.184.216.34/",
    ];
    expect(open.filter((url) => judgeCallbackUrl(url, policy) !== null)).toEqual([]);
    const closed = [
      "http://127.0.0.2/",
      "https://10.2.0.1/",
      "https://other.internal/",
      "http://hooks.example.com/",
      "http://93.184.216.35/",
    ];
    expect(closed.filter((url) => judgeCallbackUrl(url, policy) === null)).toEqual([]);
  });

  it("refuses a metadata service even if it is listed", () => {
    const policy = parseAddressPolicy(["169.254.0.0/16", "169.254.169.254"]);
    expect(judgeCallbackUrl("http://169.254.169.254/", policy)).not.toBeNull();
  });
});
