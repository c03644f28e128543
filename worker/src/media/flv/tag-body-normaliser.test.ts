import { describe, expect, it } from "vitest";
import { codecOfTagBody } from "./flv-tag.ts";
import { TagBodyNormaliser } from "./tag-body-normaliser.ts";

const bytes = (hex: string) => Buffer.from(hex.replaceAll(" ", ""), "hex");
const AVC1 = "61766331";
const HVC1 = "68766331";
const MP4A = "6d703461";
const OPUS = "4f707573";
const MP3 = "2e6d7033";

/** The body of a stream's only message. */
function normaliseTagBody(kind: "audio" | "video", body: Buffer): Buffer | null {
  return new TagBodyNormaliser().normalise(kind, body);
}

function normalised(kind: "audio" | "video", hex: string): string | null {
  return normaliseTagBody(kind, bytes(hex))?.toString("hex") ?? null;
}

describe("TagBodyNormaliser", () => {
  it.each([
    ["a classic H.264 body", "video", "17 01 000028 aabb", "17 01 000028 aabb"],
    ["a classic AAC body", "audio", "af 01 aabb", "af 01 aabb"],
    ["an empty body", "video", "", ""],
    ["avc1 SequenceStart", "video", `90 ${AVC1} 0164`, "17 00 000000 0164"],
    ["an avc1 keyframe with its composition time", "video", `91 ${AVC1} fffff0 aabb`, "17 01 fffff0 aabb"],
    ["an avc1 inter frame with its composition time", "video", `a1 ${AVC1} 000028 aabb`, "27 01 000028 aabb"],
    ["avc1 CodedFramesX, whose composition time is 0", "video", `a3 ${AVC1} aabb`, "27 01 000000 aabb"],
    ["avc1 SequenceEnd", "video", `92 ${AVC1}`, "17 02 000000"],
    ["avc1 behind two ModEx packets", "video", `97 02 000001 07 00 ff 01 ${AVC1} 000000 aa`, "17 01 000000 aa"],
    [
      "avc1 behind a ModEx packet of 300 bytes",
      "video",
      `97 ff 012b ${"00".repeat(300)} 03 ${AVC1} aa`,
      "17 01 000000 aa",
    ],
    ["mp4a SequenceStart", "audio", `90 ${MP4A} 1190`, "af 00 1190"],
    ["mp4a CodedFrames", "audio", `91 ${MP4A} aabb`, "af 01 aabb"],
    ["mp4a behind a ModEx packet", "audio", `97 00 ff 01 ${MP4A} aabb`, "af 01 aabb"],
    ["MP3 by its FourCC", "audio", `91 ${MP3} fffb`, "2f fffb"],
    ["one track of avc1", "video", `96 00 ${AVC1} 00 0164`, "17 00 000000 0164"],
    ["one track of mp4a", "audio", `95 01 ${MP4A} 03 aabb`, "af 01 aabb"],
    ["track 0 of many, wherever it stands", "audio", `95 11 ${MP4A} 01 000001 aa 00 000002 bbcc`, "af 01 bbcc"],
    ["the first of many tracks without a track 0", "audio", `95 11 ${MP4A} 02 000001 aa 01 000002 bbcc`, "af 01 aa"],
    [
      "track 0 of many with codecs of their own",
      "video",
      `a6 21 ${HVC1} 01 000004 000000 ee ${AVC1} 00 000004 000007 aa`,
      "27 01 000007 aa",
    ],
    ["the whole tracks of a body that is cut short", "audio", `95 11 ${MP4A} 01 000001 aa 00 000009 bb`, "af 01 aa"],
    ["one track of HEVC with a plain extended header", "video", `a6 03 ${HVC1} 00 aabb`, `a3 ${HVC1} aabb`],
    ["HEVC behind a ModEx packet with a plain extended header", "video", `97 00 ff 01 ${HVC1} aa`, `91 ${HVC1} aa`],
  ] as const)("makes one readable body of %s", (_what, kind, hex, expected) => {
    expect(normalised(kind, hex)).toBe(expected.replaceAll(" ", ""));
  });

  it.each([
    ["video metadata", "video", `94 ${AVC1} 020000`],
    ["a video command", "video", `d1 00`],
    ["an AAC end of sequence", "audio", `92 ${MP4A}`],
    ["an AAC channel order", "audio", `94 ${MP4A} 010200000003`],
    ["an unknown packet type", "video", `9f ${AVC1} 00`],
    ["a header that is cut short", "video", "91 6176"],
    ["ModEx data that is cut short", "audio", "97 ff"],
    ["tracks that are cut short", "audio", `95 11 ${MP4A} 01 0000`],
    ["a composition time that is cut short", "video", `91 ${AVC1} 0000`],
  ] as const)("leaves out %s", (_what, kind, hex) => {
    expect(normalised(kind, hex)).toBeNull();
  });

  it.each([
    ["video", `91 ${HVC1} 000000 aa`, "hevc"],
    ["audio", `91 ${OPUS} aa`, "opus"],
    ["audio", `94 ${OPUS} 010200000003`, "opus"],
  ] as const)("gives %s of a codec that FLV 10.1 has no number for as it came (%s)", (kind, hex, codec) => {
    const body = bytes(hex);
    expect(normaliseTagBody(kind, body)).toBe(body);
    expect(codecOfTagBody(kind, body)).toBe(codec);
  });
});

describe("TagBodyNormaliser in a stream", () => {
  const taken = (bodies: readonly string[]) => {
    const normaliser = new TagBodyNormaliser();
    return bodies.map((hex) => normaliser.normalise("audio", bytes(hex))?.toString("hex") ?? null);
  };

  it("keeps to the track that came first where no track 0 comes", () => {
    const track = (id: string, data: string) => `95 01 ${MP4A} ${id} ${data}`;
    expect(taken([track("02", "aa"), track("01", "bb"), track("02", "cc")])).toEqual(["af01aa", null, "af01cc"]);
  });

  it("takes what comes outside of tracks for track 0", () => {
    const other = `95 01 ${MP4A} 01 bb`;
    expect(taken([`91 ${MP4A} aa`, other, `91 ${MP4A} cc`])).toEqual(["af01aa", null, "af01cc"]);
  });

  it("goes over to track 0 when its sequence header comes", () => {
    const header = (id: string) => `95 00 ${MP4A} ${id} 1190`;
    expect(taken([header("01"), header("00"), `95 01 ${MP4A} 01 bb`, `95 01 ${MP4A} 00 aa`])).toEqual([
      "af001190",
      "af001190",
      null,
      "af01aa",
    ]);
  });

  it("passes over a classic stream untouched", () => {
    expect(taken(["af 00 1190", "af 01 aa"])).toEqual(["af001190", "af01aa"]);
  });

  it("gives a body or null for any bytes", () => {
    let state = 7;
    const next = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state >>> 24;
    };
    for (let round = 0; round < 5000; round += 1) {
      const body = Buffer.from(Array.from({ length: next() % 40 }, next));
      const [video, audio] = [Buffer.from(body), Buffer.from(body)];
      if (body.length > 0) {
        video[0] = 0x80 | next();
        audio[0] = 0x90 | (next() & 0x0f);
      }
      for (const seen of [normaliseTagBody("video", video), normaliseTagBody("audio", audio)]) {
        expect(seen === null || Buffer.isBuffer(seen)).toBe(true);
      }
    }
  });
});
