import { describe, expect, it } from "vitest";
import { codecOfTagBody, parseTagBody } from "./flv-tag.ts";

const bytes = (hex: string) => Buffer.from(hex.replaceAll(" ", ""), "hex");

describe("parseTagBody", () => {
  it.each([
    ["an AVC sequence header", "video", "17 00 000000 01", { keyframe: false, sequenceHeader: true, compositionMs: 0 }],
    ["an IDR picture", "video", "17 01 000000 65", { keyframe: true, sequenceHeader: false, compositionMs: 0 }],
    ["a B-frame's offset", "video", "27 01 000050 41", { keyframe: false, sequenceHeader: false, compositionMs: 80 }],
    ["a negative offset", "video", "27 01 ffffd8 41", { keyframe: false, sequenceHeader: false, compositionMs: -40 }],
    ["the largest offset", "video", "27 01 7fffff 41", { compositionMs: 8_388_607 }],
    ["an AAC sequence header", "audio", "af 00 1190", { keyframe: true, sequenceHeader: true, compositionMs: 0 }],
    ["an AAC frame", "audio", "af 01 21", { keyframe: true, sequenceHeader: false, compositionMs: 0 }],
  ] as const)("reads %s", (_what, kind, hex, expected) => {
    const payload = bytes(hex);
    expect(parseTagBody(kind, 1234, payload)).toMatchObject({ kind, dtsMs: 1234, ...expected });
    expect(parseTagBody(kind, 1234, payload)?.payload).toBe(payload);
  });

  it.each([
    ["an empty body", "video", ""],
    ["a video body that is cut short", "video", "17 01 0000"],
    ["a picture without data", "video", "17 01 000000"],
    ["an end of sequence", "video", "17 02 000000 00"],
    ["a command frame", "video", "57 01 000000 00"],
    ["HEVC under its unofficial codec id", "video", "1c 01 000000 26"],
    ["HEVC in an enhanced header", "video", "91 68766331 000000 26"],
    ["an empty audio body", "audio", ""],
    ["an audio frame without data", "audio", "af 01"],
    ["MP3", "audio", "2f fffb 90"],
    ["an unknown AAC packet type", "audio", "af 02 00"],
  ] as const)("gives null for %s", (_what, kind, hex) => {
    expect(parseTagBody(kind, 0, bytes(hex))).toBeNull();
  });
});

describe("codecOfTagBody", () => {
  it.each([
    ["video", "17 01 000000 65", "h264"],
    ["video", "1c 01", "hevc"],
    ["video", "90 68766331", "hevc"],
    ["video", "90 61763031", "av1"],
    ["video", "90 6876", null],
    ["video", "1f", null],
    ["video", "", null],
    ["audio", "af 01", "aac"],
    ["audio", "2f", "mp3"],
    ["audio", "90 4f707573", "opus"],
    ["audio", "df", null],
  ] as const)("names the codec of a %s body %s: %s", (kind, hex, codec) => {
    expect(codecOfTagBody(kind, bytes(hex))).toBe(codec);
  });
});
