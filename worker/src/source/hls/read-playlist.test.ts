import { describe, expect, it } from "vitest";
import type { MasterPlaylist } from "./master-playlist.ts";
import type { MediaPlaylist } from "./media-playlist.ts";
import { readPlaylist } from "./read-playlist.ts";
import { resolveReference } from "./resolve-reference.ts";

const URL_OF_LIST = "https://cdn.example/live/list.m3u8?token=abc";

const read = (text: string | Buffer, imported?: ReadonlyMap<string, string>) =>
  readPlaylist({ body: Buffer.from(text), url: URL_OF_LIST, imported });

function media(text: string | Buffer, imported?: ReadonlyMap<string, string>): MediaPlaylist {
  const playlist = read(text, imported);
  if (playlist.kind !== "media") throw new Error("A media playlist was expected.");
  return playlist;
}

function master(text: string): MasterPlaylist {
  const playlist = read(text);
  if (playlist.kind !== "master") throw new Error("A master playlist was expected.");
  return playlist;
}

/** Returns the addresses and durations, in seconds, of a playlist's segments. */
const entries = (text: string | Buffer) =>
  media(text).segments.map(({ uri, durationMs }) => [uri, durationMs / 1000] as const);

const HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n";
const ONE = `${HEAD}#EXTINF:4,\na.ts\n`;

describe("readPlaylist", () => {
  describe("when a media playlist is irregular", () => {
    it.each<readonly [string, string | Buffer, readonly (readonly [string, number])[]]>([
      ["it begins with a byte order mark", `\uFEFF${ONE}`, [["a.ts", 4]]],
      [
        "it is UTF-16, little-endian",
        Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(ONE, "utf16le")]),
        [["a.ts", 4]],
      ],
      [
        "it is UTF-16, big-endian",
        Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(ONE, "utf16le").swap16()]),
        [["a.ts", 4]],
      ],
      ["it begins with blank lines and blanks", `\n\r\n  \t\n  ${ONE}`, [["a.ts", 4]]],
      ["it begins with a comment or a notice", `# made by x\nNotice: something\n${ONE}`, [["a.ts", 4]]],
      ["it has no EXTM3U", "#EXT-X-TARGETDURATION:6\n#EXTINF:4,\na.ts\n", [["a.ts", 4]]],
      ["its tags are in lower case", ONE.replaceAll("EXT", "ext"), [["a.ts", 4]]],
      ["its first tag is in lower case", ONE.replace("#EXTM3U", "#extm3u"), [["a.ts", 4]]],
      ["its first tag has attributes", ONE.replace("#EXTM3U", '#EXTM3U x-tvg-url="x"'), [["a.ts", 4]]],
      ["lines end with CRLF", ONE.replaceAll("\n", "\r\n"), [["a.ts", 4]]],
      ["lines end with CR", ONE.replaceAll("\n", "\r"), [["a.ts", 4]]],
      [
        "lines end with LF and CR alternately",
        `${HEAD}#EXTINF:4,\r\n\r\na.ts\r\r#EXTINF:5,\nb.ts`,
        [
          ["a.ts", 4],
          ["b.ts", 5],
        ],
      ],
      ["addresses are followed by blanks", `${HEAD}#EXTINF:4,\na.ts \t\n`, [["a.ts", 4]]],
      [
        "names contain blanks and letters outside ASCII",
        `${HEAD}#EXTINF:4,\nmein fröhlicher 视频.ts\n`,
        [["mein fröhlicher 视频.ts", 4]],
      ],
      [
        "names are Latin-1",
        Buffer.concat([Buffer.from(`${HEAD}#EXTINF:4,\nfr`), Buffer.from([0xf6]), Buffer.from("h.ts\n")]),
        [["fr%F6h.ts", 4]],
      ],
      [
        "segments have no extension or that of an image",
        `${HEAD}#EXTINF:4,\nsegment\n#EXTINF:4,\nb.jpg\n`,
        [
          ["segment", 4],
          ["b.jpg", 4],
        ],
      ],
      [
        "it has no target duration",
        "#EXTM3U\n#EXTINF:4,\na.ts\n#EXTINF:5,\nb.ts",
        [
          ["a.ts", 4],
          ["b.ts", 5],
        ],
      ],
      ["the target duration is zero", "#EXTM3U\n#EXT-X-TARGETDURATION:0\n#EXTINF:4,\na.ts\n", [["a.ts", 4]]],
      ["segments are longer than the target duration", `${HEAD}#EXTINF:9.5,\na.ts\n`, [["a.ts", 9.5]]],
      ["a duration has no comma", `${HEAD}#EXTINF:4\na.ts\n`, [["a.ts", 4]]],
      ["a duration has a decimal comma", `${HEAD}#EXTINF:4,5,\na.ts\n`, [["a.ts", 4.5]]],
      ["a duration is followed by a title with a number", `${HEAD}#EXTINF:4,5 things\na.ts\n`, [["a.ts", 4]]],
      ["a duration has blanks around it", `${HEAD}#EXTINF: 4.5 ,title\na.ts\n`, [["a.ts", 4.5]]],
      [
        "a duration begins with a point or has an exponent",
        `${HEAD}#EXTINF:.5,\na.ts\n#EXTINF:1e1,\nb.ts\n`,
        [
          ["a.ts", 0.5],
          ["b.ts", 10],
        ],
      ],
      ["a duration is negative", `${HEAD}#EXTINF:-1,\na.ts\n`, [["a.ts", 6]]],
      [
        "a duration is not a number",
        `${HEAD}#EXTINF:abc,\na.ts\n#EXTINF:\nb.ts\n`,
        [
          ["a.ts", 6],
          ["b.ts", 6],
        ],
      ],
      ["a duration is longer than a day", `${HEAD}#EXTINF:1e300,\na.ts\n`, [["a.ts", 6]]],
      [
        "one duration is zero",
        `${HEAD}#EXTINF:4,\na.ts\n#EXTINF:0,\nb.ts\n`,
        [
          ["a.ts", 4],
          ["b.ts", 0],
        ],
      ],
      [
        "every duration is zero",
        `${HEAD}#EXTINF:0,\na.ts\n#EXTINF:0,\nb.ts\n`,
        [
          ["a.ts", 6],
          ["b.ts", 6],
        ],
      ],
      [
        "no segment has a duration",
        `${HEAD}a.ts\nb.ts\n`,
        [
          ["a.ts", 6],
          ["b.ts", 6],
        ],
      ],
      [
        "a line of text is between the segments",
        `${HEAD}#EXTINF:4,\na.ts\nstray\n#EXTINF:4,\nb.ts\n`,
        [
          ["a.ts", 4],
          ["b.ts", 4],
        ],
      ],
      ["a line of text is before the segments", `${HEAD}stray\n#EXTINF:4,\na.ts\n`, [["a.ts", 4]]],
      ["it breaks off after a duration", `${ONE}#EXTINF:4,\n`, [["a.ts", 4]]],
      [
        "tags are between a duration and its address",
        `${HEAD}#EXTINF:4,\n#EXT-X-KEY:METHOD=NONE\n# x\na.ts\n`,
        [["a.ts", 4]],
      ],
      [
        "it has unknown tags",
        `${HEAD}#EXT-X-CUE-OUT:30\n#EXT-OATCLS-SCTE35:xx\n#FOO\n#\n#EXTINF:4,\na.ts\n`,
        [["a.ts", 4]],
      ],
      [
        "it has low-latency tags",
        `${HEAD}#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1\n#EXT-X-PART-INF:PART-TARGET=0.3\n#EXTINF:4,\na.ts\n#EXT-X-PART:DURATION=0.3,URI="p1.ts"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p2.ts"\n#EXT-X-RENDITION-REPORT:URI="../x.m3u8"\n`,
        [["a.ts", 4]],
      ],
      ["an address contains a NUL", `${HEAD}#EXTINF:4,\na\0b.ts\n`, [["a\0b.ts", 4]]],
    ])("reads its segments although %s", (_name, text, expected) => {
      expect(entries(text)).toEqual(expected);
    });

    it("does not take control characters in a comment or a title for line ends", () => {
      for (const character of ["\0", "\v", "\f", "\u0085", "\u2028", "\u2029", "\x1e"]) {
        const text = `${HEAD}#EXTINF:4,title${character}http://10.0.0.1/x.ts\na.ts\n# x${character}http://10.0.0.1/y.ts\n`;
        expect(entries(text)).toEqual([["a.ts", 4]]);
      }
    });
  });

  describe("when a tag has attributes", () => {
    const key = (attributes: string) => media(`${HEAD}#EXT-X-KEY:${attributes}\n#EXTINF:4,\na.ts\n`).segments[0]?.key;
    const iv = Buffer.from("00000000000000000000000000000012", "hex");

    it.each([
      ["they are regular", 'METHOD=AES-128,URI="k?a=1,b=2",IV=0x12', "k?a=1,b=2", iv],
      ["they have blanks around them", ' METHOD = AES-128 , URI = "k" , IV = 0x12 ', "k", iv],
      ["names and values are in lower case", 'method=aes-128,uri="k",iv=0X12', "k", iv],
      ["an address has no quotes", "METHOD=AES-128,URI=k,IV=0x12", "k", iv],
      ["a quote is not closed", 'METHOD=AES-128,URI="k,IV=0x12', "k", iv],
      ["a quote is not closed before another one", 'URI="k,METHOD="AES-128",IV=0x12', "k", iv],
      ["quotes are escaped", 'METHOD=AES-128,URI=\\"k\\",IV=0x12', "k", iv],
      ["quotes are single", "METHOD=AES-128,URI='k',IV=0x12", "k", iv],
      ["commas are repeated", ',,METHOD=AES-128,,URI="k",,IV=0x12,', "k", iv],
      ["the vector is not a number", 'METHOD=AES-128,URI="k",IV=zz', "k", null],
      ["there is no vector", 'METHOD=AES-128,URI="k",KEYFORMAT="identity",KEYFORMATVERSIONS="1"', "k", null],
    ])("reads the key when %s", (_name, attributes, uri, vector) => {
      expect(key(attributes)).toEqual({ method: "AES-128", uri, iv: vector });
    });
  });

  describe("when segments are encrypted", () => {
    const keysOf = (text: string) => media(`${HEAD}${text}`).segments.map((segment) => segment.key);

    it.each([
      ['METHOD=SAMPLE-AES,URI="k"', "SAMPLE-AES"],
      ['METHOD=SAMPLE-AES,URI="skd://k",KEYFORMAT="com.apple.streamingkeydelivery"', "SAMPLE-AES (FairPlay)"],
      [
        'METHOD=SAMPLE-AES-CTR,URI="data:x",KEYFORMAT="urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"',
        "SAMPLE-AES-CTR (Widevine)",
      ],
      ['METHOD=SAMPLE-AES,URI="data:x",KEYFORMAT="com.microsoft.playready"', "SAMPLE-AES (PlayReady)"],
      ['METHOD=AES-256,URI="k"', "AES-256"],
      ["METHOD=AES-128", "AES-128 without a key address"],
    ])("names the unsupported encryption %s", (attributes, name) => {
      expect(keysOf(`#EXT-X-KEY:${attributes}\n#EXTINF:4,\na\n`)).toEqual([{ method: "other", name }]);
    });

    it("applies a key until the playlist names another one or none", () => {
      const keys = keysOf(
        '#EXTINF:4,\na\n#EXT-X-KEY:METHOD=AES-128,URI="k1"\n#EXTINF:4,\nb\n#EXTINF:4,\nc\n#EXT-X-KEY:METHOD=AES-128,URI="k2"\n#EXTINF:4,\nd\n#EXT-X-KEY:METHOD=NONE\n#EXTINF:4,\ne\n',
      );
      expect(keys.map((key) => (key?.method === "AES-128" ? key.uri : null))).toEqual([null, "k1", "k1", "k2", null]);
    });

    it("chooses the AES-128 key when a segment has keys of several formats", () => {
      const keys = keysOf(
        '#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x",KEYFORMAT="com.apple.streamingkeydelivery"\n#EXTINF:4,\na\n',
      );
      expect(keys).toMatchObject([{ method: "AES-128", uri: "k" }]);
    });

    it("gives an initialisation segment the key that applies where the playlist names it", () => {
      const [first] = media(`${HEAD}#EXT-X-MAP:URI="i"\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:4,\na\n`).segments;
      expect([first?.map?.key, first?.key?.method]).toEqual([null, "AES-128"]);
    });
  });

  describe("when it reads a media playlist", () => {
    it("numbers segments from the media sequence and counts those that a delta update skips", () => {
      const numbers = (text: string) => media(text).segments.map(({ sequence }) => sequence);
      expect(numbers(`${HEAD}#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:4,\na\n#EXTINF:4,\nb\n`)).toEqual([7, 8]);
      expect(numbers(`${HEAD}#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n#EXTINF:4,\na\n`)).toEqual([10]);
      expect(numbers(`${HEAD}#EXTINF:4,\na\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:4,\nb\n`)).toEqual([0, 1]);
      expect(numbers(`${HEAD}#EXT-X-MEDIA-SEQUENCE:-3\n#EXTINF:4,\na\n`)).toEqual([0]);
      expect(numbers(`${HEAD}#EXT-X-MEDIA-SEQUENCE:99999999999999999999\n#EXTINF:4,\na\n`)).toEqual([0]);
    });

    it("reads byte ranges with an offset, continued in the same file, and from 0 in another file", () => {
      const { segments } = media(
        `${HEAD}#EXT-X-BYTERANGE:10@5\n#EXTINF:4,\na\n#EXTINF:4,\n#EXT-X-BYTERANGE:"20"\na\n#EXTINF:4,\n#EXT-X-BYTERANGE:30\nb\n#EXTINF:4,\n#EXT-X-BYTERANGE:x@y\nb\n`,
      );
      expect(segments.map(({ range }) => range)).toEqual([
        { start: 5, end: 14 },
        { start: 15, end: 34 },
        { start: 0, end: 29 },
        null,
      ]);
      const [first] = media(`${HEAD}#EXT-X-MAP:URI="i",BYTERANGE="100@0"\n#EXTINF:4,\na\n`).segments;
      expect(first?.map).toMatchObject({ uri: "i", range: { start: 0, end: 99 } });
    });

    it("calculates wall-clock times from the last date until a discontinuity without one", () => {
      const { segments } = media(
        `${HEAD}#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.500+0100\n#EXTINF:4,\na\n#EXTINF:4,\nb\n#EXT-X-DISCONTINUITY\n#EXTINF:4,\nc\n#EXT-X-PROGRAM-DATE-TIME:rubbish\n#EXTINF:4,\nd\n`,
      );
      const first = Date.UTC(2025, 11, 31, 23, 0, 0, 500);
      expect(segments.map(({ programDateTimeMs }) => programDateTimeMs)).toEqual([first, first + 4000, null, null]);
      expect(segments.map(({ discontinuity }) => discontinuity)).toEqual([false, false, true, false]);
    });

    it("marks the playlist as complete when it has an ENDLIST anywhere or is of type VOD", () => {
      expect(media(ONE).complete).toBe(false);
      expect(media(`#EXTM3U\n#EXT-X-ENDLIST\n#EXTINF:4,\na\n`).complete).toBe(true);
      expect(media(`${HEAD}#EXT-X-PLAYLIST-TYPE: vod \n#EXTINF:4,\na\n`)).toMatchObject({
        type: "VOD",
        complete: true,
      });
      expect(media(`${HEAD}#EXT-X-PLAYLIST-TYPE:EVENT\n#EXTINF:4,\na\n`)).toMatchObject({
        type: "EVENT",
        complete: false,
      });
    });

    it("replaces variables that are defined, imported or from the query and keeps undefined ones", () => {
      const text = `${HEAD}#EXT-X-DEFINE:NAME="host",VALUE="http://x.example"\n#EXT-X-DEFINE:IMPORT="dir"\n#EXT-X-DEFINE:QUERYPARAM="token"\n#EXT-X-KEY:METHOD=AES-128,URI="{$host}/k"\n#EXTINF:4,\n{$host}/{$dir}/a.ts?t={$token}&n={$none}\n`;
      const [first] = media(text, new Map([["dir", "d"]])).segments;
      expect(first?.uri).toBe("http://x.example/d/a.ts?t=abc&n={$none}");
      expect(first?.key).toMatchObject({ uri: "http://x.example/k" });
    });

    it("reads a hundred thousand lines", () => {
      const { segments, durationMs } = media(HEAD + "#EXTINF:2,\nsegment.ts\n".repeat(50_000));
      expect([segments.length, durationMs]).toEqual([50_000, 100_000_000]);
    });
  });

  describe("when it reads a master playlist", () => {
    it("returns the variants and audio renditions", () => {
      const playlist = master(
        '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="Deutsch",LANGUAGE="de",DEFAULT=yes,AUTOSELECT=YES,URI="de.m3u8"\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="x",URI="s.m3u8"\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=2000000,CODECS="avc1.64001f, mp4a.40.2",RESOLUTION=1280X720,FRAME-RATE=29.970,AUDIO="g",NAME=720\n\n# a comment\nhi.m3u8\nstray.m3u8\n#EXT-X-STREAM-INF:\nlow.m3u8\n',
      );
      expect(playlist.variants).toEqual([
        {
          uri: "hi.m3u8",
          bandwidth: 2_000_000,
          codecs: ["avc1.64001f", "mp4a.40.2"],
          width: 1280,
          height: 720,
          fps: 29.97,
          videoRange: null,
          name: "720",
          audioGroup: "g",
        },
        {
          uri: "low.m3u8",
          bandwidth: 0,
          codecs: [],
          width: null,
          height: null,
          fps: null,
          videoRange: null,
          name: null,
          audioGroup: null,
        },
      ]);
      expect(playlist.audio).toEqual([
        { groupId: "g", name: "Deutsch", language: "de", isDefault: true, autoSelect: true, uri: "de.m3u8" },
      ]);
    });

    it("reads it as a master playlist although it also has segments", () => {
      expect(master("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n#EXTINF:4,\na.ts\n").variants).toHaveLength(1);
    });

    it("returns the variables for its media playlists", () => {
      const { variables } = master('#EXTM3U\n#EXT-X-DEFINE:NAME="a",VALUE="b"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv{$a}\n');
      expect([...variables]).toEqual([["a", "b"]]);
    });
  });

  describe("when the document is not an HLS playlist", () => {
    it.each([
      [
        "a DASH manifest",
        '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">',
        "SourceUnsupported",
        "MPEG-DASH",
      ],
      [
        "a Smooth Streaming manifest",
        '<?xml version="1.0"?><SmoothStreamingMedia MajorVersion="2">',
        "SourceUnsupported",
        "Smooth Streaming",
      ],
      ["a web page", "<!DOCTYPE html><html><body>Login</body></html>", "SourceNotMedia", "web page"],
      [
        "an M3U of songs",
        "#EXTM3U\n#EXTINF:123,Artist - Title\nsong.mp3\n",
        "SourceUnsupported",
        "list of media files",
      ],
      [
        "an M3U of channels",
        '#EXTM3U\n#EXTINF:-1 tvg-id="x" group-title="News",News\nhttp://x.example/1.m3u8\n',
        "SourceUnsupported",
        "list of media files",
      ],
      [
        "an M3U of radio stations",
        "#EXTM3U\n#EXTINF:-1,TOP 100\nhttp://radio.example:8000/top100-192\n",
        "SourceUnsupported",
        "list of media files",
      ],
      [
        "a plain list of addresses",
        "http://x.example/a.mp3\nhttp://x.example/b.mp3\n",
        "SourceUnsupported",
        "list of media files",
      ],
      ["a PLS list", "[playlist]\nFile1=http://x.example/a.mp3\n", "SourceUnsupported", "list of media files"],
      [
        "an XSPF list",
        '<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/">',
        "SourceUnsupported",
        "list of media files",
      ],
      ["an empty document", "", "SourceNotMedia", "empty"],
      ["plain text", "not found", "SourceNotMedia", "not an HLS playlist"],
    ])("throws an error that names %s", (_name, text, code, message) => {
      expect(() => read(text)).toThrow(
        expect.objectContaining({ code: `FailedOperation.${code}`, message: expect.stringContaining(message) }),
      );
    });
  });

  describe("when its addresses are resolved", () => {
    it.each([
      ["a.ts", "https://cdn.example/live/a.ts"],
      ["/a.ts", "https://cdn.example/a.ts"],
      ["//other.example/a.ts", "https://other.example/a.ts"],
      ["http://other.example/a.ts", "http://other.example/a.ts"],
      ["?part=3", "https://cdn.example/live/list.m3u8?part=3"],
      ["mein fröhlicher.ts", "https://cdn.example/live/mein%20fr%C3%B6hlicher.ts"],
      ["12:30:05.ts", "https://cdn.example/live/12:30:05.ts"],
      ["take:1.ts", "https://cdn.example/live/take:1.ts"],
      ["a\0b.ts", "https://cdn.example/live/a%00b.ts"],
      ["file:///etc/passwd", null],
      ["rtmp://other.example/a", null],
      ["http://", null],
    ])("resolves %j to %s", (reference, url) => {
      expect(resolveReference(reference, URL_OF_LIST)).toBe(url);
    });
  });
});
