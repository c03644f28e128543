import { describe, expect, it } from "vitest";
import type { AudioRendition, MasterPlaylist, Variant } from "./master-playlist.ts";
import { rankAudio, rankVariants, rungsBelow } from "./variant-choice.ts";

const AVC = "avc1.64001f";
const AAC = "mp4a.40.2";

function variant(uri: string, height: number | null, kbps: number, more: Partial<Variant> = {}): Variant {
  return {
    uri,
    bandwidth: kbps * 1000,
    codecs: [AVC, AAC],
    width: height === null ? null : Math.round((height * 16) / 9),
    height,
    fps: null,
    videoRange: null,
    name: null,
    audioGroup: null,
    ...more,
  };
}

const order = (variants: readonly Variant[], maxHeight?: number) =>
  rankVariants(variants, maxHeight).map(({ uri }) => uri);

describe("HLS variant choice", () => {
  describe("rankVariants", () => {
    it.each<readonly [string, readonly Variant[], readonly string[]]>([
      [
        "sorts by picture size, then by bit rate",
        [variant("a", 360, 800), variant("b", 720, 2000), variant("c", 720, 3000), variant("d", 1080, 2500)],
        ["d", "c", "b", "a"],
      ],
      [
        "puts what a room takes without encoding before 50 frames per second, 2160p, HEVC, AV1 and HDR",
        [
          variant("2160", 2160, 16_000),
          variant("hevc", 1080, 4000, { codecs: ["hvc1.1.6.L120.90", AAC] }),
          variant("av1", 1080, 4000, { codecs: ["av01.0.08M.08", AAC] }),
          variant("fast", 1080, 5000, { fps: 50 }),
          variant("hdr", 1080, 5000, { videoRange: "PQ", codecs: ["hvc1.2.4.L120.90", AAC] }),
          variant("dolby", 1080, 5000, { codecs: ["dvh1.05.06", AAC] }),
          variant("sd", 360, 800),
        ],
        ["sd", "fast", "2160", "hevc", "av1", "hdr", "dolby"],
      ],
      [
        "puts a variant without video after low-bit-rate variants that declare neither size nor codecs",
        [
          variant("sound", null, 100, { codecs: [AAC] }),
          variant("small", null, 90, { codecs: [] }),
          variant("smaller", null, 64, { codecs: [] }),
        ],
        ["small", "smaller", "sound"],
      ],
      [
        "treats 29.97 and 30 frames per second as equal and puts 59.94 last",
        [
          variant("a", 720, 1, { fps: 29.97 }),
          variant("b", 1080, 2, { fps: 30 }),
          variant("c", 1080, 3, { fps: 59.94 }),
        ],
        ["b", "a", "c"],
      ],
      [
        "puts audio that must be encoded after audio that is copied",
        [
          variant("ac3", 1080, 5000, { codecs: [AVC, "ac-3"] }),
          variant("aac", 720, 2000, { codecs: [AVC, "mp4a.40.5"] }),
        ],
        ["aac", "ac3"],
      ],
      [
        "puts H.264 with 10 bits after H.264 with 8 bits",
        [variant("high10", 1080, 5000, { codecs: ["avc1.6e0028", AAC] }), variant("high", 720, 2000)],
        ["high", "high10"],
      ],
      [
        "does not lower the rank of a variant because it has subtitles",
        [variant("sd", 480, 900), variant("text", 720, 2000, { codecs: [AVC, AAC, "wvtt"] })],
        ["text", "sd"],
      ],
      [
        "puts a variant without video after an HDR variant",
        [variant("sound", null, 64, { codecs: [AAC] }), variant("hdr", 2160, 1, { videoRange: "HLG" })],
        ["hdr", "sound"],
      ],
      [
        "sorts by bit rate when the playlist declares nothing else",
        [variant("a", null, 400, { codecs: [] }), variant("b", null, 900, { codecs: [] })],
        ["b", "a"],
      ],
      [
        "takes a portrait picture of 1080x1920 without encoding",
        [variant("land", 720, 900), variant("port", 1920, 800, { width: 1080 })],
        ["port", "land"],
      ],
      [
        "keeps redundant variants next to each other, in the playlist's order",
        [variant("lo1", 360, 800), variant("hi1", 720, 2000), variant("lo2", 360, 800), variant("hi2", 720, 2000)],
        ["hi1", "hi2", "lo1", "lo2"],
      ],
      [
        "puts the smallest variant first when all are too large",
        [variant("2160", 2160, 16_000), variant("1440", 1440, 9000)],
        ["1440", "2160"],
      ],
    ])("%s", (_name, variants, expected) => {
      expect(order(variants)).toEqual(expected);
    });

    it("puts variants above the requested height last", () => {
      const ladder = [variant("1080", 1080, 4000), variant("720", 720, 2000), variant("360", 360, 800)];
      expect(order(ladder, 720)).toEqual(["720", "360", "1080"]);
      expect(order(ladder, 240)).toEqual(["360", "720", "1080"]);
      expect(order(ladder, 2160)).toEqual(["1080", "720", "360"]);
    });
  });

  describe("rungsBelow", () => {
    it("returns variants with a lower bit rate that need no more work, the highest first", () => {
      const present = variant("720", 720, 2000);
      const ladder = [
        variant("1080", 1080, 4000),
        present,
        variant("hevc", 480, 700, { codecs: ["hvc1.1", AAC] }),
        variant("240", 240, 300),
        variant("360", 360, 800),
        variant("sound", null, 64, { codecs: [AAC] }),
      ];
      expect(rungsBelow(ladder, present).map(({ uri }) => uri)).toEqual(["360", "240"]);
    });
  });

  describe("rankAudio", () => {
    const sound = (uri: string, more: Partial<AudioRendition> = {}): AudioRendition => ({
      groupId: "g",
      name: uri,
      language: uri,
      isDefault: false,
      autoSelect: false,
      uri,
      ...more,
    });
    const master = (audio: readonly AudioRendition[]): MasterPlaylist => ({
      kind: "master",
      url: "http://x.example/",
      variants: [],
      audio,
      sessionKeys: [],
      variables: new Map(),
    });
    const withGroup = variant("v", 720, 1, { audioGroup: "g" });
    const audio = [
      sound("fr"),
      sound("en-US", { autoSelect: true }),
      sound("de", { isDefault: true, name: "Deutsch" }),
      sound("it", { groupId: "other", isDefault: true }),
    ];
    const ranked = (choice?: string | number) => {
      const { renditions, choiceFound } = rankAudio(master(audio), withGroup, choice);
      return [renditions.map(({ uri }) => uri).join(" "), choiceFound];
    };

    it("puts the group's default first, then AUTOSELECT renditions, then the rest as listed", () => {
      expect(ranked()).toEqual(["de en-US fr", false]);
    });

    it.each<readonly [string | number, string, boolean]>([
      ["fr", "fr de en-US", true],
      ["fre", "fr de en-US", true],
      ["EN", "en-US de fr", true],
      ["en-GB", "en-US de fr", true],
      ["eng", "en-US de fr", true],
      ["deutsch", "de en-US fr", true],
      [1, "fr de en-US", true],
      [3, "de en-US fr", true],
      [4, "de en-US fr", false],
      ["it", "de en-US fr", false],
      ["%", "de en-US fr", false],
    ])("orders the renditions for the requested track %j as %s", (wish, expected, met) => {
      expect(ranked(wish)).toEqual([expected, met]);
    });

    it("returns no renditions when the variant names no group or an unknown one", () => {
      expect(rankAudio(master(audio), variant("v", 720, 1)).renditions).toEqual([]);
      expect(rankAudio(master(audio), variant("v", 720, 1, { audioGroup: "none" })).renditions).toEqual([]);
    });
  });
});
