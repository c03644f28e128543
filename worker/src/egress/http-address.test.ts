import { describe, expect, it } from "vitest";
import { parseHttpAddress, resolveReference } from "./http-address.ts";

describe("An HTTP address", () => {
  it.each([
    ["http://h/a//b/./c?", "/a//b/./c?"],
    ["http://h", "/"],
    ["http://h?x=1#y?z", "/?x=1"],
    ["  https://u:p@h:8443/a b\n", "/a%20b"],
    ["HTTPS://H\\a", "/a"],
    ["http://h/%e4%zz%", "/%e4%zz%"],
    ["http://h/<\"|{}^`\\'>", "/%3C%22|{}^`\\'%3E"],
    ["http://h/\u00e9\ud800x", "/%C3%A9%EF%BF%BDx"],
  ])("%j is asked for as %j", (url, path) => {
    expect(parseHttpAddress(url)?.path).toBe(path);
  });

  it.each(["ftp://h/a", "file:///etc/passwd", "//h/a", "/a", "", "http://", "http://a b/"])("%j is none", (url) => {
    expect(parseHttpAddress(url)).toBeNull();
  });

  it.each([
    ["http://u:p%40@h/", "u:p@"],
    ["http://u%zz@h/", "u%zz:"],
    ["http://%C3%A9:p@h/", "é:p"],
  ])("%j carries its user and password", (url, pair) => {
    expect(parseHttpAddress(url)?.authorization).toBe(`Basic ${Buffer.from(pair).toString("base64")}`);
  });
});

describe("A reference", () => {
  const base = "http://u:p@h:1/a/b/c.m3u8?k=v#f";
  it.each([
    ["d.ts", "http://u:p@h:1/a/b/d.ts"],
    ["d%2Ets?x='|'", "http://u:p@h:1/a/b/d%2Ets?x='|'"],
    ["../../../d.ts", "http://u:p@h:1/d.ts"],
    ["./x/./../d.ts", "http://u:p@h:1/a/b/d.ts"],
    ["..", "http://u:p@h:1/a/"],
    ["%2E%2E/d.ts", "http://u:p@h:1/a/b/%2E%2E/d.ts"],
    ["/x//../d.ts", "http://u:p@h:1/x//../d.ts"],
    ["//g/d.ts", "http://g/d.ts"],
    ["?q", "http://u:p@h:1/a/b/c.m3u8?q"],
    ["", "http://u:p@h:1/a/b/c.m3u8?k=v"],
    ["#g", "http://u:p@h:1/a/b/c.m3u8?k=v#g"],
    ["HTTPS://g/e|f", "HTTPS://g/e|f"],
    ["http://", null],
  ])("%j leads to %j", (reference, expected) => {
    expect(resolveReference(reference, base)).toBe(expected);
  });
});
