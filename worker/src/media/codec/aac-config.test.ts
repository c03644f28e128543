import { describe, expect, test } from "vitest";
import { type AacConfig, parseAacConfig } from "./aac-config.ts";
import { CodecError } from "./codec-error.ts";
import { audioInfoOf } from "./track-info.ts";

const LC: Partial<AacConfig> = { objectType: 2, sbr: false, ps: false, samplesPerFrame: 1024 };

/** The first five are from files that ffmpeg 5.1 made, and ffprobe reported the same values. */
const CONFIGS: readonly (readonly [string, Partial<AacConfig>, string])[] = [
  ["LC 44.1 kHz mono", { ...LC, sampleRateHz: 44_100, channels: 1 }, "120856e500"],
  ["LC 48 kHz stereo", { ...LC, sampleRateHz: 48_000, channels: 2 }, "119056e500"],
  ["LC 48 kHz 5.1", { ...LC, sampleRateHz: 48_000, channels: 6 }, "11b056e500"],
  ["LC 8 kHz mono", { ...LC, sampleRateHz: 8000, channels: 1 }, "158856e500"],
  ["LC 22.05 kHz stereo", { ...LC, sampleRateHz: 22_050, channels: 2 }, "139056e500"],
  ["LC in two bytes", { ...LC, sampleRateHz: 44_100, channels: 2 }, "1210"],
  ["LC of 960 samples", { ...LC, samplesPerFrame: 960, channels: 2 }, "1194"],
  [
    "HE-AAC, hierarchical signalling",
    { objectType: 2, sbr: true, ps: false, coreSampleRateHz: 22_050, sampleRateHz: 44_100, channels: 2 },
    "2b920800",
  ],
  [
    "HE-AAC v2, hierarchical signalling",
    { objectType: 2, sbr: true, ps: true, coreSampleRateHz: 24_000, sampleRateHz: 48_000, channels: 2 },
    "eb098800",
  ],
  [
    "HE-AAC, backward compatible signalling",
    { objectType: 2, sbr: true, ps: false, coreSampleRateHz: 22_050, sampleRateHz: 44_100, channels: 2 },
    "139056e5a0",
  ],
  [
    "HE-AAC v2, backward compatible signalling",
    { objectType: 2, sbr: true, ps: true, coreSampleRateHz: 24_000, sampleRateHz: 48_000, channels: 2 },
    "130856e59d4880",
  ],
];

describe("an AudioSpecificConfig", () => {
  test.each(CONFIGS)("is read: %s", (_name, expected, hex) => {
    const config = parseAacConfig(Buffer.from(hex, "hex"));
    expect(config).toMatchObject(expected);
    expect(audioInfoOf(config)).toEqual({
      codec: "aac",
      channels: config.channels,
      sampleRateHz: config.sampleRateHz,
    });
  });

  test("may count its channels in a program configuration", () => {
    // LC, 48 kHz, channel configuration 0; two front elements: a single and a pair, and one LFE; no comment.
    const bits = ["00010", "0011", "0000", "000", "0000", "01", "0011"];
    bits.push("0010", "0000", "0000", "01", "000", "0000", "000", "00000", "10001", "0000");
    const text = bits.join("");
    const aligned = text.padEnd(Math.ceil(text.length / 8) * 8, "0").concat("00000000");
    const bytes = Uint8Array.from(aligned.match(/.{8}/g) ?? [], (byte) => Number.parseInt(byte, 2));
    expect(parseAacConfig(bytes)).toMatchObject({ channels: 4, sampleRateHz: 48_000 });
  });

  test.each([
    ["nothing", ""],
    ["one byte", "12"],
    ["an unknown sample rate", "1690"],
    ["an unknown object type", "f8ffff00"],
    ["no channels", "1178"],
    ["a program configuration that ends early", "1200"],
    ["600 bytes", "12".repeat(600)],
  ])("of %s is refused with the one typed error", (_name, hex) => {
    expect(() => parseAacConfig(Buffer.from(hex, "hex"))).toThrow(CodecError);
  });

  test("with any single bit flipped, is read or refused with the one typed error, never anything else", () => {
    for (const [, , hex] of CONFIGS) {
      const sound = Buffer.from(hex, "hex");
      for (let bit = 0; bit < sound.length * 8; bit += 1) {
        const flipped = Buffer.from(sound);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        try {
          expect(parseAacConfig(flipped).channels).toBeGreaterThan(0);
        } catch (error) {
          if (!(error instanceof CodecError)) throw error;
        }
      }
    }
  });
});
