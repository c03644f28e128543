import { beforeAll, describe, expect, it } from "vitest";
import { parseTagBody } from "../../media/flv/flv-tag.ts";
import type { FlvTag } from "../../media/flv/flv-writer.ts";
import { PLAIN_AAC, PLAIN_H264, sampleFlv } from "../../media/flv/sample-flv.test-support.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import { judge, mediaTags } from "./filler.test-support.ts";
import { StreamFiller } from "./stream-filler.ts";

const WEIGHTED = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-x264-params", "bframes=0:weightp=2:ref=3:keyint=10"];

/** Upper limit for a repeated picture of the largest possible size. */
const LARGEST_PICTURE_BYTES = 2048;

let plain: readonly MediaTag[];
let weighted: readonly MediaTag[];

beforeAll(async () => {
  const clip = { seconds: 0.8, fps: 25, size: "64x48" };
  const [first, second] = await Promise.all([
    sampleFlv({ ...clip, video: PLAIN_H264, audio: PLAIN_AAC }),
    sampleFlv({ ...clip, video: WEIGHTED, audio: [] }),
  ]);
  plain = mediaTags(first);
  weighted = mediaTags(second);
});

function headerOf(tags: readonly MediaTag[]): MediaTag {
  return picked(tags.find((tag) => tag.kind === "video" && tag.sequenceHeader));
}

function picturesOf(tags: readonly MediaTag[]): MediaTag[] {
  return tags.filter((tag) => tag.kind === "video" && !tag.sequenceHeader);
}

function picked<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("The clip is too short.");
  return value;
}

function video(payload: Buffer, keyframe = false): MediaTag {
  return { kind: "video", dtsMs: 0, compositionMs: 0, keyframe, sequenceHeader: false, payload };
}

function observed(...tags: readonly MediaTag[]): StreamFiller {
  const filler = new StreamFiller();
  for (const tag of tags) filler.observe(tag);
  return filler;
}

describe("StreamFiller", () => {
  describe("when the stream is valid", () => {
    it("makes nothing before it has observed a video header and a picture, or an audio header", () => {
      const [keyframe] = picturesOf(plain);
      expect(observed().picture()).toBeUndefined();
      expect(observed().silence()).toBeUndefined();
      expect(observed(headerOf(plain)).picture()).toBeUndefined();
      expect(observed(picked(keyframe)).picture()).toBeUndefined();
    });

    it("makes pictures of less than 100 bytes that last less than 100 ms", () => {
      const frame = observed(...plain).picture();
      expect(frame?.durationMs).toBeGreaterThan(33);
      expect(frame?.durationMs).toBeLessThan(100);
      expect(frame?.payload.length).toBeLessThan(100);
      expect(parseTagBody("video", 0, frame?.payload ?? Buffer.alloc(0))).toMatchObject({
        keyframe: false,
        sequenceHeader: false,
        compositionMs: 0,
      });
    });

    it("makes one picture per gap, however long the gap is", () => {
      const filler = observed(...plain);
      const first = filler.picture();
      expect(first).toBeDefined();
      expect(filler.picture()).toBe(first);
      filler.observe(headerOf(plain));
      expect(filler.picture()).toBe(first);
      filler.observe(picked(picturesOf(plain)[0]));
      expect(filler.picture()).not.toBe(first);
      expect(filler.silence()).toBe(filler.silence());
    });

    it("keeps the composition time of the last picture", () => {
      const last = picked(picturesOf(plain).at(-1));
      const payload = Buffer.from(last.payload);
      payload.writeIntBE(80, 2, 3);
      const frame = observed(headerOf(plain), video(payload)).picture();
      expect(picked(frame).payload.readIntBE(2, 3)).toBe(80);
    });

    it("makes no picture between the header of another source and its first picture", () => {
      const filler = observed(...plain);
      filler.observe(headerOf(weighted));
      expect(filler.picture()).toBeUndefined();
      filler.observe(picked(picturesOf(weighted)[0]));
      expect(filler.picture()).toBeDefined();
    });

    it("uses the parameter sets that come with a keyframe instead of those in the header", async () => {
      const record = headerOf(weighted).payload;
      const spsLength = record.readUInt16BE(11);
      const sps = record.subarray(11, 13 + spsLength);
      const pps = record.subarray(14 + spsLength, 16 + spsLength + record.readUInt16BE(14 + spsLength));
      const sets = [Buffer.alloc(2), sps, Buffer.alloc(2), pps];
      const stream = [headerOf(plain), ...picturesOf(weighted)].map((tag) =>
        tag.keyframe
          ? { ...tag, payload: Buffer.concat([tag.payload.subarray(0, 5), ...sets, tag.payload.subarray(5)]) }
          : tag,
      );
      const filler = new StreamFiller();
      const filled = stream.flatMap((tag, index): FlvTag[] => {
        filler.observe(tag);
        const payloads = [tag.payload, ...(index === 7 ? [picked(filler.picture()).payload] : [])];
        return payloads.map((payload, more) => ({ kind: "video", timestampMs: index * 40 + more * 20, payload }));
      });
      const unfilled = stream.map(
        (tag, index): FlvTag => ({ kind: "video", timestampMs: index * 40, payload: tag.payload }),
      );
      const { first, second, complaints } = await judge("video", [unfilled, filled]);
      expect(complaints).toBe("");
      expect(second.map((frame) => frame.md5)).toEqual(
        first.flatMap(({ md5 }, index) => (index === 6 ? [md5, md5] : [md5])),
      );
    });
  });

  /** Returns the size of the picture, or 0 if there is none. Anything thrown fails the test. */
  function pictureBytes(filler: StreamFiller): number {
    return filler.picture()?.payload.length ?? 0;
  }

  describe("when the stream has hostile bytes", () => {
    it("makes a picture or none from a header that is cut short or has a flipped bit, and never throws", () => {
      const header = headerOf(weighted);
      const last = picked(picturesOf(weighted).at(-1));
      for (const payload of spoilt(header.payload, 5))
        expect(pictureBytes(observed({ ...header, payload }, last))).toBeLessThan(LARGEST_PICTURE_BYTES);
    });

    it("makes a picture or none after a picture that is cut short or has a flipped bit, and never throws", () => {
      for (const tags of [plain, weighted]) {
        const last = picked(picturesOf(tags).at(-1));
        const filler = observed(headerOf(tags));
        for (const payload of spoilt(last.payload.subarray(0, 60), 0)) {
          filler.observe(video(payload, true));
          expect(pictureBytes(filler)).toBeLessThan(LARGEST_PICTURE_BYTES);
        }
      }
    });

    it("makes a picture or none after random bytes, and never throws", () => {
      const filler = observed(headerOf(plain));
      for (let seed = 1; seed < 3000; seed += 1) {
        const payload = Buffer.concat([Buffer.from([0x27, 1, 0, 0, 0]), noise(seed, seed % 90)]);
        // The length fits, so that the bytes after it are read as a slice.
        if (payload.length > 10) payload.writeUInt32BE(payload.length - 9, 5);
        if (payload.length > 10 && seed % 2 === 0) payload.writeUInt8(seed % 4 === 0 ? 0x65 : 0x41, 9);
        filler.observe({ ...video(payload, seed % 3 === 0), sequenceHeader: seed % 50 === 0 });
        expect(pictureBytes(filler)).toBeLessThan(LARGEST_PICTURE_BYTES);
        filler.observe(headerOf(seed % 2 === 0 ? plain : weighted));
      }
    });

    it("makes silence or none from a random audio header, and never throws", () => {
      for (let seed = 1; seed < 500; seed += 1) {
        const payload = Buffer.concat([Buffer.from([0xaf, 0]), noise(seed, seed % 20)]);
        const filler = observed({ ...video(payload), kind: "audio", sequenceHeader: true });
        expect(filler.silence()?.payload.length ?? 0).toBeLessThan(20);
      }
    });
  });

  /** Yields every truncation, and every flip of one bit from an offset on. */
  function* spoilt(bytes: Buffer, from: number): Generator<Buffer> {
    for (let length = 0; length < bytes.length; length += 1) yield bytes.subarray(0, length);
    for (let bit = from * 8; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      yield flipped;
    }
  }

  /** Returns bytes that depend only on the seed. */
  function noise(seed: number, length: number): Buffer {
    let state = seed;
    return Buffer.from(
      Array.from({ length }, () => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return state >>> 24;
      }),
    );
  }
});
