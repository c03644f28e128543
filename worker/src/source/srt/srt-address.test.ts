import { describe, expect, it } from "vitest";
import { parseSrtAddress, srtPlaylist } from "./srt-address.ts";

describe("parseSrtAddress", () => {
  it("reads the host, the port and the parameters for the server", () => {
    const url =
      "srt://Media.example:9000?streamid=%23!::r=live/a,m=request&passphrase=with+a%20space&pbkeylen=24&latency=300";
    expect(parseSrtAddress(url)).toEqual({
      host: "Media.example",
      port: 9000,
      streamId: "#!::r=live/a,m=request",
      passphrase: "with a space",
      keyLength: 24,
      latencyMs: 300,
    });
  });

  it("needs only host and port and ignores unknown parameters", () => {
    expect(parseSrtAddress("srt://[2001:db8::1]:9000?mode=caller&transtype=live&passphrase=")).toEqual({
      host: "[2001:db8::1]",
      port: 9000,
      streamId: undefined,
      passphrase: undefined,
      keyLength: undefined,
      latencyMs: undefined,
    });
  });

  it.each([
    ["srt://media.example", "srt://host:port"],
    ["srt://media.example:9000?mode=listener", "mode=caller"],
    ["srt://media.example:9000?mode=rendezvous", "mode=caller"],
    ["srt://media.example:9000?passphrase=sh0rt", "10 to 79 bytes"],
    ["srt://media.example:9000?pbkeylen=17", "16, 24, 32"],
    ["srt://media.example:9000?latency=200000", "milliseconds up to 10000"],
    ["srt://media.example:9000?latency=-1", "milliseconds up to 10000"],
    ["srt://media.example:9000?streamid=a%0Afile%20x", "no control characters"],
    [`srt://media.example:9000?streamid=${"a".repeat(513)}`, "at most 512 bytes"],
  ])("refuses %s: %s", (url, why) => {
    let thrown: unknown;
    try {
      parseSrtAddress(url);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: "FailedOperation.SourceUnsupported", message: expect.stringContaining(why) });
    expect(String(thrown)).not.toMatch(/sh0rt|aaaa/);
  });
});

describe("srtPlaylist", () => {
  const address = parseSrtAddress("srt://media.example:9000?streamid=it's&passphrase=0123456789&latency=300");

  it("names the checked address, quotes the user's values and forbids other inputs", () => {
    expect(srtPlaylist(address, { address: "203.0.113.7", family: 4 }).split("\n")).toEqual([
      "ffconcat version 1.0",
      "file 'srt://203.0.113.7:9000'",
      "option mode 'caller'",
      "option connect_timeout '5000'",
      "option format_whitelist 'mpegts'",
      "option protocol_whitelist 'srt'",
      String.raw`option streamid 'it'\''s'`,
      "option passphrase '0123456789'",
      "option latency '300000'",
      "",
    ]);
  });

  it("puts an IPv6 address into brackets", () => {
    expect(srtPlaylist(address, { address: "2001:db8::1", family: 6 })).toContain("file 'srt://[2001:db8::1]:9000'\n");
  });
});
