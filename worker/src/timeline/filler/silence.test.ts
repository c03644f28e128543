import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { parseAacConfig } from "../../media/codec/aac-config.ts";
import type { FlvTag } from "../../media/flv/flv-writer.ts";
import { PLAIN_AAC, sampleFlv } from "../../media/flv/sample-flv.test-support.ts";
import { judge, mediaTags } from "./filler.test-support.ts";
import { silentFrame } from "./silence.ts";

const AUDIO_TAG = 0xaf;
/** Frequency indices of ISO/IEC 14496-3, table 1.18. */
const RATE_INDEX = { 48_000: 3, 44_100: 4, 22_050: 7, 8000: 11 } as const;

function lowComplexity(rateHz: keyof typeof RATE_INDEX, channels: number): Buffer {
  return Buffer.from([(2 << 3) | (RATE_INDEX[rateHz] >> 1), ((RATE_INDEX[rateHz] & 1) << 7) | (channels << 3)]);
}

function silentStream(config: Buffer, frames: number): FlvTag[] {
  const frame = silentFrame(parseAacConfig(config), AUDIO_TAG);
  const header = Buffer.concat([Buffer.from([AUDIO_TAG, 0]), config]);
  return [
    { kind: "audio", timestampMs: 0, payload: header },
    ...Array.from({ length: frames }, (_frame, index): FlvTag => {
      const timestampMs = Math.round(index * (frame?.durationMs ?? 0));
      return { kind: "audio", timestampMs, payload: frame?.payload ?? Buffer.alloc(0) };
    }),
  ];
}

function zeros(channels: number): string {
  return createHash("md5")
    .update(Buffer.alloc(1024 * channels * 2))
    .digest("hex");
}

describe("silentFrame", () => {
  it.each([48_000, 44_100, 22_050, 8000] as const)(
    "returns a frame that decodes to nothing but zeros at %i Hz",
    async (rateHz) => {
      const streams = [1, 2].map((channels) => silentStream(lowComplexity(rateHz, channels), 20));
      const { first, second, complaints } = await judge("audio", [streams[0] ?? [], streams[1] ?? []]);
      expect(complaints).toBe("");
      expect(first.map((frame) => frame.md5)).toEqual(Array(20).fill(zeros(1)));
      expect(second.map((frame) => frame.md5)).toEqual(Array(20).fill(zeros(2)));
    },
  );

  it("returns frames that sound as silence between the frames of a tone and do not disturb the tone", async () => {
    const tone = await sampleFlv({ seconds: 1, fps: 25, video: [], audio: PLAIN_AAC });
    const audio = mediaTags(tone).map(({ dtsMs, payload }): FlvTag => ({ kind: "audio", timestampMs: dtsMs, payload }));
    const silence = silentStream(lowComplexity(48_000, 2), 10).slice(1);
    const filled = [...audio.slice(0, 20), ...silence, ...audio.slice(20)].map((tag, index) => ({
      ...tag,
      timestampMs: Math.round(Math.max(0, index - 1) * (1024 / 48)),
    }));
    const { first, second, complaints } = await judge("audio", [audio, filled]);
    expect(complaints).toBe("");
    expect(second).toHaveLength(first.length + 10);
    const heard = second.map((frame) => frame.md5);
    // Frames overlap by half, so one fades the tone out and one fades it in.
    expect(heard.slice(0, 19)).toEqual(first.slice(0, 19).map((frame) => frame.md5));
    expect(heard.slice(20, 29)).toEqual(Array(9).fill(zeros(2)));
    expect(heard.slice(30)).toEqual(first.slice(20).map((frame) => frame.md5));
  });

  it("returns a frame with the duration of 1024 samples", () => {
    expect(silentFrame(parseAacConfig(lowComplexity(48_000, 2)), AUDIO_TAG)?.durationMs).toBeCloseTo(21.333, 3);
    expect(silentFrame(parseAacConfig(lowComplexity(44_100, 1)), AUDIO_TAG)?.durationMs).toBeCloseTo(23.22, 2);
  });

  it.each([
    ["HE-AAC", "2b920800"],
    ["HE-AAC, backward compatible signalling", "139056e5a0"],
    ["HE-AAC v2", "eb098800"],
    ["5.1", "11b056e500"],
    ["960 samples per frame", "1194"],
    ["AAC main", "0990"],
  ])("returns undefined for %s", (_name, hex) => {
    expect(silentFrame(parseAacConfig(Buffer.from(hex, "hex")), AUDIO_TAG)).toBeUndefined();
  });
});
