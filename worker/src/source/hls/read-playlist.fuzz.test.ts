import { RoomcastError } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { documentKind } from "./document-kind.ts";
import { randomFrom } from "./random-from.test-support.ts";
import { MAX_PLAYLIST_BYTES, readPlaylist, readPlaylistInSlices } from "./read-playlist.ts";
import { rankAudio, rankVariants } from "./variant-choice.ts";

const MEDIA = `#EXTM3U
#EXT-X-VERSION:6
#EXT-X-DEFINE:NAME="a",VALUE="b"
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-MAP:URI="{$a}i.mp4",BYTERANGE="100@0"
#EXT-X-KEY:METHOD=AES-128,URI="k",IV=0x00000000000000000000000000000012
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00Z
#EXTINF:4.000,title
#EXT-X-BYTERANGE:10@5
a.ts
#EXT-X-DISCONTINUITY
#EXT-X-GAP
#EXTINF:4,
b.ts?x=1
#EXT-X-ENDLIST
`;

const MASTER = `#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="x",LANGUAGE="en",DEFAULT=YES,URI="a.m3u8"
#EXT-X-SESSION-KEY:METHOD=AES-128,URI="k"
#EXT-X-STREAM-INF:BANDWIDTH=2000000,RESOLUTION=1280x720,CODECS="avc1.64001f,mp4a.40.2",FRAME-RATE=30,AUDIO="g"
v.m3u8
`;

const REFUSALS = /^FailedOperation\.Source(?:Unsupported|NotMedia)$/;

/** Reads a playlist and uses the result. It rethrows every error that is not a typed refusal. */
function outcomeOf(body: Buffer): "read" | "refused" {
  try {
    const playlist = readPlaylist({ body, url: "http://x.example/a.m3u8?q=1" });
    if (playlist.kind === "master") {
      for (const variant of rankVariants(playlist.variants)) rankAudio(playlist, variant, "en");
      return "read";
    }
    for (const segment of playlist.segments) {
      expect(Number.isSafeInteger(segment.sequence)).toBe(true);
      expect(segment.durationMs).toBeGreaterThanOrEqual(0);
    }
    expect(Number.isFinite(playlist.durationMs)).toBe(true);
    expect(playlist.targetDurationMs).toBeGreaterThan(0);
    return "read";
  } catch (error) {
    if (error instanceof RoomcastError && REFUSALS.test(error.code)) return "refused";
    throw error;
  }
}

const EITHER = /^(?:read|refused)$/;

describe("readPlaylist", () => {
  describe("when the playlist is damaged", () => {
    it.each([
      ["media", MEDIA],
      ["master", MASTER],
    ])("throws only typed errors for a %s playlist that is cut at any byte", (_name, text) => {
      const whole = Buffer.from(text);
      for (let length = 0; length <= whole.length; length += 1) {
        expect(outcomeOf(whole.subarray(0, length))).toMatch(EITHER);
        expect(outcomeOf(whole.subarray(length))).toMatch(EITHER);
      }
    });

    it.each(Array.from({ length: 20 }, (_none, seed) => seed))(
      "throws only typed errors for bytes that are changed at random with seed %i",
      (seed) => {
        const random = randomFrom(seed);
        for (let round = 0; round < 100; round += 1) {
          const body = Buffer.from(random() < 0.5 ? MEDIA : MASTER);
          for (let change = 0; change < 8; change += 1)
            body[Math.floor(random() * body.length)] = Math.floor(random() * 256);
          expect(outcomeOf(body)).toMatch(EITHER);
        }
      },
    );

    it.each(Array.from({ length: 20 }, (_none, seed) => seed))(
      "throws only typed errors for lines in a random order with seed %i",
      (seed) => {
        const random = randomFrom(seed);
        const lines = `${MEDIA}${MASTER}`.split("\n");
        for (let round = 0; round < 100; round += 1) {
          const shuffled = Array.from({ length: 30 }, () => lines[Math.floor(random() * lines.length)] ?? "");
          expect(outcomeOf(Buffer.from(`#EXTM3U\n${shuffled.join("\n")}`))).toMatch(EITHER);
        }
      },
    );

    it("throws only typed errors for random bytes", () => {
      const random = randomFrom(1);
      for (let round = 0; round < 500; round += 1) {
        const body = Buffer.from(Array.from({ length: 300 }, () => Math.floor(random() * 256)));
        expect(outcomeOf(body)).toMatch(EITHER);
        expect(outcomeOf(Buffer.concat([Buffer.from("#EXTM3U\n#EXT-X-"), body]))).toMatch(EITHER);
        documentKind(body, "audio/mpegurl");
      }
    });
  });

  describe("when the playlist is made to take long or to fill the memory", () => {
    const huge = (piece: string) => piece.repeat(Math.floor(MAX_PLAYLIST_BYTES / 4 / piece.length));

    it.each([
      ["quotes that are never closed", `#EXT-X-KEY:${huge('A="')}`],
      ["quotes in a row", `#EXT-X-KEY:METHOD=${huge('"')}x`],
      ["commas in a row", `#EXT-X-KEY:${huge(",")}`],
      ["equals signs in a row", `#EXT-X-KEY:${huge("=")}`],
      ["attributes in a row", `#EXT-X-KEY:${huge("A=1,")}`],
      ["names without values in a row", `#EXT-X-KEY:${huge("A,")}`],
      ["blanks in a row", `#EXTINF:4,\na${huge(" ")}b`],
      ["blanks in an attribute", `#EXT-X-KEY:METHOD${huge(" ")}`],
      ["lines in a row", huge("\r\n\n")],
      ["digits in a row", `#EXTINF:${huge("1")},\na\n#EXT-X-BYTERANGE:${huge("1")}@1\nb`],
      ["brackets of variables", `#EXT-X-DEFINE:NAME="a",VALUE="b"\n#EXTINF:4,\n${huge("{$")}`],
      ["one long address", `#EXTINF:4,\n${huge("a")}`],
      ["maps and keys in a row", huge('#EXT-X-KEY:METHOD=AES-128,URI="k",KEYFORMAT="identity"\n')],
      [
        "key formats in a row",
        Array.from({ length: 20_000 }, (_none, n) => `#EXT-X-KEY:METHOD=X,URI="k",KEYFORMAT="${n}"\n`).join(""),
      ],
    ])("reads or refuses %s without hanging", (_name, text) => {
      expect(outcomeOf(Buffer.from(`#EXTM3U\n#EXT-X-TARGETDURATION:4\n${text}\n#EXTINF:4,\na.ts\n`))).toMatch(EITHER);
    });

    it.each([
      ["variants", "#EXT-X-STREAM-INF:BANDWIDTH=1\nv\n", ""],
      ["sound tracks", "#EXT-X-MEDIA:TYPE=AUDIO,LANGUAGE=x,GROUP-ID=g\n", ""],
      ["session keys", "#EXT-X-SESSION-KEY:METHOD=AES-128,URI=k\n", "#EXT-X-STREAM-INF:\nv\n"],
    ])("refuses more than 2,000 %s", (what, piece, end) => {
      const body = Buffer.from(`#EXTM3U\n#EXT-X-STREAM-INF:\n${huge(piece)}${end}`);
      expect(() => readPlaylist({ body, url: "http://x.example/" })).toThrow(
        expect.objectContaining({
          code: "FailedOperation.SourceUnsupported",
          message: `The HLS playlist names more than 2000 ${what}.`,
        }),
      );
    });

    it("ignores lines that are longer than any tag or address", () => {
      const codecs = `#EXT-X-STREAM-INF:CODECS="${huge("a,")}"\n${huge("v")}\n`;
      const text = `#EXTM3U\n${codecs}#EXT-X-STREAM-INF:BANDWIDTH=1\nw.m3u8\n`;
      const playlist = readPlaylist({ body: Buffer.from(text), url: "http://x.example/" });
      if (playlist.kind !== "master") throw new Error("expected a master playlist");
      expect(playlist.variants.map(({ uri, codecs: named }) => [uri, named])).toEqual([["w.m3u8", []]]);
    });

    it("lets other work of the process run while it reads the largest playlist", async () => {
      const body = Buffer.from(`#EXTM3U\n#EXT-X-TARGETDURATION:4\n${huge(`#EXTINF:4,\n/${"a".repeat(40)}.ts\n`)}`);
      let ticks = 0;
      let reading = true;
      const tick = () => {
        ticks += 1;
        if (reading) setImmediate(tick);
      };
      setImmediate(tick);
      const options = { body, url: "http://x.example/" };
      const playlist = await readPlaylistInSlices(options, new AbortController().signal);
      reading = false;
      expect(playlist).toEqual(readPlaylist(options));
      expect(ticks).toBeGreaterThan(body.length / 100_000);
    });

    it.each([
      ["short lines", "#EXT-X-GAP\n"],
      ["blank lines", "\n"],
      ["lines of attributes", `#EXT-X-KEY:${"A=b,".repeat(15_000)}\n`],
    ])("pauses after at most a thousand lines or 128 KiB of %s", async (_what, piece) => {
      const body = Buffer.from(
        `#EXTM3U\n#EXT-X-TARGETDURATION:4\n${piece.repeat(Math.ceil(1_000_000 / piece.length))}#EXTINF:4,\na.ts\n`,
      );
      let pauses = 0;
      let reading = true;
      const count = () => {
        pauses += 1;
        if (reading) setImmediate(count);
      };
      setImmediate(count);
      await readPlaylistInSlices({ body, url: "http://x.example/" }, new AbortController().signal);
      reading = false;
      const lines = body.toString().split("\n").length;
      expect(pauses).toBeGreaterThan(Math.max(lines / 1100, body.length / 135_000));
    });

    it("stops reading when the signal aborts", async () => {
      const body = Buffer.from(`#EXTM3U\n${huge("#EXT-X-GAP\n")}`);
      const stop = new AbortController();
      const reading = readPlaylistInSlices({ body, url: "http://x.example/" }, stop.signal);
      stop.abort(new Error("stopped"));
      await expect(reading).rejects.toThrow("stopped");
    });

    it("refuses variables that grow with each line", () => {
      let text = '#EXTM3U\n#EXT-X-DEFINE:NAME="a0",VALUE="0123456789"\n';
      for (let n = 1; n < 40; n += 1) text += `#EXT-X-DEFINE:NAME="a${n}",VALUE="{$a${n - 1}}{$a${n - 1}}"\n`;
      expect(() =>
        readPlaylist({ body: Buffer.from(`${text}#EXTINF:4,\n{$a39}\n`), url: "http://x.example/" }),
      ).toThrow(expect.objectContaining({ code: "FailedOperation.SourceUnsupported" }));
    });

    it("refuses many lines that each use a long variable", () => {
      const text = `#EXTM3U\n#EXT-X-DEFINE:NAME="a",VALUE="${"x".repeat(60_000)}"\n${"#EXTINF:4,\n{$a}\n".repeat(5000)}`;
      expect(() => readPlaylist({ body: Buffer.from(text), url: "http://x.example/" })).toThrow(RoomcastError);
    });

    it("refuses more than 100,000 segments", () => {
      const text = `#EXTM3U\n${"#EXTINF:4,\na\n".repeat(600_000)}`;
      expect(() => readPlaylist({ body: Buffer.from(text), url: "http://x.example/" })).toThrow(
        expect.objectContaining({ message: expect.stringContaining("more than 100000 segments") }),
      );
    });
  });
});
