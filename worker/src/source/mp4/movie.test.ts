import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listBoxes } from "./box.ts";
import { fitsInOnePass } from "./layout.ts";
import { type Movie, parseMovie } from "./movie.ts";
import { COPYABLE_VIDEO, ffmpeg, PICTURE, TONE } from "./mp4.test-support.ts";
import { Mp4Error } from "./mp4-error.ts";
import { mediaInfoOf } from "./mp4-media-info.ts";
import { SampleCursor } from "./sample-cursor.ts";
import { WorkSlices } from "./work-slices.ts";

const CONTAINERS = new Set(["trak", "mdia", "minf", "stbl", "dinf", "edts"]);

let folder: string;
let moov: Buffer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "roomcast-moov-"));
  const path = join(folder, "clip.mp4");
  await ffmpeg([...PICTURE, ...TONE, ...COPYABLE_VIDEO, path]);
  const file = await readFile(path);
  const box = listBoxes(file, 0, file.length).find(({ type }) => type === "moov");
  moov = file.subarray(box?.start, box?.end);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Does everything with an index that opening a file does. */
async function readFully(bytes: Buffer): Promise<Movie> {
  const slices = new WorkSlices(() => Promise.resolve());
  const movie = await parseMovie(bytes, { fileBytes: 1_000_000, slices });
  mediaInfoOf(movie);
  const { video, audio } = movie;
  if (video !== null && audio !== null) await fitsInOnePass({ video, audio }, { maxHeldBytes: 2 ** 21, slices });
  return movie;
}

async function refusal(bytes: Buffer): Promise<unknown> {
  try {
    await readFully(bytes);
    return undefined;
  } catch (error) {
    return error;
  }
}

interface Place {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/** Lists all boxes, each container before its contents. */
function allBoxes(bytes: Buffer, start = 0, end = bytes.length): Place[] {
  return listBoxes(bytes, start, end).flatMap((box) =>
    CONTAINERS.has(box.type) ? [box, ...allBoxes(bytes, box.start, box.end)] : [box],
  );
}

/** Finds the first box of a type in the n-th track. */
function place(bytes: Buffer, type: string, track = 0): Place {
  const trak = allBoxes(bytes).filter((box) => box.type === "trak")[track];
  const box = allBoxes(bytes, trak?.start, trak?.end).find((one) => one.type === type);
  if (box === undefined) throw new Error(`no ${type}`);
  return box;
}

function changed(change: (bytes: Buffer) => void): Buffer {
  const copy = Buffer.from(moov);
  change(copy);
  return copy;
}

describe("parseMovie", () => {
  describe("when the index is regular", () => {
    it("returns the same description as ffmpeg", async () => {
      expect(mediaInfoOf(await readFully(moov))).toMatchObject({
        video: { codec: "h264", width: 320, height: 180, fps: 25, hasBFrames: false, gopMs: 1000, rotation: 0 },
        audio: { codec: "aac", channels: 1, sampleRateHz: 48_000 },
      });
    });

    it("gives each sample its decode time and keyframe flag", async () => {
      const { video } = await readFully(moov);
      if (video === null) throw new Error("no video");
      const cursor = new SampleCursor(video.samples);
      const seen: { atMs: number; sync: boolean }[] = [];
      for (; !cursor.done; cursor.advance()) {
        seen.push({ atMs: (cursor.decodeTime * 1000) / video.timescale, sync: cursor.sync });
      }
      expect(seen).toEqual(Array.from({ length: 50 }, (_, index) => ({ atMs: index * 40, sync: index % 25 === 0 })));
      expect(mediaInfoOf(await readFully(moov)).video?.gopMs).toBe(1000);
    });

    it("gives a sample the same place by direct access and by stepping", async () => {
      const { video, audio } = await readFully(moov);
      for (const { samples } of [video, audio].flatMap((track) => track ?? [])) {
        const walked = new SampleCursor(samples);
        for (; !walked.done; walked.advance()) {
          const found = new SampleCursor(samples, walked.index);
          const { index, offset, size, decodeTime, sync } = walked;
          expect(found).toMatchObject({ index, offset, size, decodeTime, sync });
          expect(samples.sampleAt(decodeTime)).toBe(index);
        }
      }
    });
  });

  describe("when the index is hostile", () => {
    it("refuses an index that is cut anywhere with Mp4Error, or reads it if only an optional part is missing", async () => {
      for (let length = 0; length < moov.length; length += 1) {
        const error = await refusal(moov.subarray(0, length));
        expect(error === undefined || error instanceof Mp4Error).toBe(true);
      }
      for (const { end } of allBoxes(moov).filter((box) => ["mvhd", "stsd", "stsz", "stco"].includes(box.type))) {
        expect(await refusal(moov.subarray(0, end - 1))).toBeInstanceOf(Mp4Error);
      }
    });

    it.each([0, 1, 7, 9, 0x7fff_ffff, 0xffff_ffff])(
      "reads it or throws Mp4Error when a box claims a size of %i",
      async (size) => {
        for (const box of allBoxes(moov)) {
          const error = await refusal(changed((bytes) => bytes.writeUInt32BE(size, box.start - 8)));
          expect(error === undefined || error instanceof Mp4Error).toBe(true);
        }
      },
    );

    it("reads it or throws Mp4Error when any byte is inverted", async () => {
      for (let at = 0; at < moov.length; at += 1) {
        const error = await refusal(changed((bytes) => bytes.writeUInt8(bytes.readUInt8(at) ^ 0xff, at)));
        expect(error === undefined || error instanceof Mp4Error).toBe(true);
      }
    });

    it.each(["stts", "stsc", "stco", "stss"])(
      "throws Mp4Error when the table %s claims four thousand million entries",
      async (type) => {
        const error = await refusal(changed((bytes) => bytes.writeUInt32BE(0xffff_ffff, place(bytes, type).start + 4)));
        expect(error).toBeInstanceOf(Mp4Error);
      },
    );

    it.each([
      ["claims four thousand million samples", 0, 0xffff_ffff],
      ["claims four thousand million samples of one size", 1, 0xffff_ffff],
      ["has no samples", 0, 0],
    ])("throws Mp4Error when a track %s", async (_name, size, count) => {
      const bytes = changed((copy) => {
        const { start } = place(copy, "stsz");
        copy.writeUInt32BE(size, start + 4);
        copy.writeUInt32BE(count, start + 8);
      });
      expect(await refusal(bytes)).toBeInstanceOf(Mp4Error);
    });

    it.each([
      ["overlap", 1, 0],
      ["go backwards", 2, 10],
    ])("throws Mp4Error when chunks %s", async (_name, entry, offset) => {
      const bytes = changed((copy) => copy.writeUInt32BE(offset, place(copy, "stco").start + 8 + entry * 4));
      expect(await refusal(bytes)).toBeInstanceOf(Mp4Error);
    });

    it("throws Mp4Error when a picture has a gigabyte", async () => {
      const bytes = changed((copy) => copy.writeUInt32BE(2 ** 30, place(copy, "stsz").end - 4));
      expect(await refusal(bytes)).toBeInstanceOf(Mp4Error);
    });
  });

  /** Rewrites the video's only edit: duration, media time and rate. */
  function edited(duration: number, mediaTime: number, rate = 0x0001_0000): Buffer {
    return changed((bytes) => {
      const { start } = place(bytes, "elst");
      bytes.writeUInt32BE(duration, start + 8);
      bytes.writeInt32BE(mediaTime, start + 12);
      bytes.writeUInt32BE(rate, start + 16);
    });
  }

  describe("when a track has an edit list", () => {
    it("delays the track by an empty edit", async () => {
      expect((await readFully(edited(700, -1))).video?.shiftMs).toBe(700);
    });

    it("does not shift the track when the edit plays it completely", async () => {
      expect((await readFully(edited(0, 0))).video?.shiftMs).toBe(0);
    });

    it("puts the audio's priming before zero when the edit skips it", async () => {
      expect((await readFully(moov)).audio?.shiftMs).toBeCloseTo(-1024 / 48, 3);
    });

    it("marks the video as not copyable when the edit begins inside a group of pictures", async () => {
      const { video } = await readFully(edited(0, 6400));
      expect(video?.uncopyable).toMatch(/hides the video's beginning/);
    });

    it("begins at the keyframe at which the edit begins", async () => {
      expect((await readFully(edited(0, 12_800))).video).toMatchObject({
        firstSample: 25,
        shiftMs: -1000,
        endMs: 1000,
      });
      expect((await readFully(edited(0, 12_800))).video?.uncopyable).toBeUndefined();
    });

    it("ends where the edit ends", async () => {
      const { video } = await readFully(edited(500, 0));
      expect(video).toMatchObject({ endMs: 500, endSample: 13 });
      expect(video?.uncopyable).toBeUndefined();
    });

    it("marks the video as not copyable when the edit changes the speed", async () => {
      expect((await readFully(edited(0, 0, 0x0002_0000))).video?.uncopyable).toMatch(/changes its speed/);
    });

    it("throws Mp4Error when the edit has a negative start", async () => {
      await expect(readFully(edited(0, -2))).rejects.toThrow(Mp4Error);
    });
  });
});
