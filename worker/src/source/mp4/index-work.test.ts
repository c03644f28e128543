import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listBoxes } from "./box.ts";
import { fitsInOnePass } from "./layout.ts";
import { parseMovie } from "./movie.ts";
import { COPYABLE_VIDEO, CountedSlices, ffmpeg, PICTURE, TONE } from "./mp4.test-support.ts";
import { Mp4Error } from "./mp4-error.ts";
import { mediaInfoOf } from "./mp4-media-info.ts";
import { SampleCursor } from "./sample-cursor.ts";
import { UNITS_IN_A_SLICE, type WorkSlices } from "./work-slices.ts";
import { box, numbers, type WrittenTables, withTables } from "./written-index.test-support.ts";

let folder: string;
let moov: Buffer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "roomcast-index-"));
  const path = join(folder, "clip.mp4");
  await ffmpeg([...PICTURE, ...TONE, ...COPYABLE_VIDEO, path]);
  const file = await readFile(path);
  const found = listBoxes(file, 0, file.length).find(({ type }) => type === "moov");
  moov = file.subarray(found?.start, found?.end);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function open(bytes: Buffer, fileBytes: number | null, slices: WorkSlices = new CountedSlices()) {
  const movie = await parseMovie(bytes, { fileBytes, slices });
  const media = mediaInfoOf(movie);
  const { video, audio } = movie;
  if (video === null || audio === null) throw new Error("a track is missing");
  return { media, video, audio, fits: await fitsInOnePass({ video, audio }, { maxHeldBytes: 2 ** 21, slices }) };
}

const ORDINARY: WrittenTables = { sizes: [100], syncSamples: [1] };

describe("MP4 index", () => {
  describe("when it claims more than its file can contain", () => {
    it.each<[string, WrittenTables, WrittenTables]>([
      ["seven million pictures of one size", { sampleCount: 7_000_000, fixedSize: 100 }, ORDINARY],
      ["seven million frames of sound of one byte", ORDINARY, { sampleCount: 7_000_000, fixedSize: 1 }],
      ["sixteen million samples", { sampleCount: 16_000_000, fixedSize: 1 }, ORDINARY],
      ["four thousand million samples", { sampleCount: 0xffff_ffff, fixedSize: 1 }, ORDINARY],
      ["a missing table of sizes", { sampleCount: 7_000_000 }, ORDINARY],
    ])("is refused without reading the tables: %s", async (_name, video, audio) => {
      const slices = new CountedSlices();
      const bytes = withTables(moov, video, audio);
      expect(bytes.length).toBeLessThan(3000);
      await expect(open(bytes, bytes.length, slices)).rejects.toThrow(Mp4Error);
      expect(slices.units).toBeLessThan(10);
    });
  });

  describe("when it is large", () => {
    const hours = 2;
    const pictures = hours * 3600 * 25;
    /** Makes the index of a film in chunks of one second, video and audio alternately, as ffmpeg writes it. */
    const film = () => {
      const seconds = hours * 3600;
      const videoBytes = 25 * 4000;
      const audioBytes = 47 * 340;
      const starts = Array.from({ length: seconds }, (_, second) => 1000 + second * (videoBytes + audioBytes));
      const video = {
        sizes: Array.from({ length: pictures }, () => 4000),
        durations: [[pictures, 512]] as const,
        chunkRuns: [[1, 25]] as const,
        chunkOffsets: starts,
        syncSamples: Array.from({ length: seconds }, (_, second) => second * 25 + 1),
      };
      const audio = {
        sizes: Array.from({ length: seconds * 47 }, () => 340 - 1).map((size, at) => (at % 47 === 0 ? size + 1 : size)),
        durations: [[seconds * 47, 1021]] as const,
        chunkRuns: [[1, 47]] as const,
        chunkOffsets: starts.map((start) => start + videoBytes),
      };
      return withTables(moov, video, audio);
    };

    it("is read in slices for a film of two hours, in which a position is found", async () => {
      const slices = new CountedSlices();
      const { video, fits, media } = await open(film(), null, slices);
      expect(fits).toBe(true);
      expect(media).toMatchObject({ video: { gopMs: 1000, fps: 25 } });
      expect(media.durationMs).toBeGreaterThan(hours * 3_590_000);
      expect(slices.pauses).toBeGreaterThan(10);
      expect(slices.longest).toBeLessThan(UNITS_IN_A_SLICE + 100);
      const sample = video.samples.syncSampleAt(video.samples.sampleAt(5000.5 * 12_800)) ?? 0;
      expect(sample).toBe(5000 * 25);
      const cursor = new SampleCursor(video.samples, sample);
      expect(cursor).toMatchObject({
        decodeTime: 5000 * 12_800,
        sync: true,
        offset: 1000 + 5000 * (100_000 + 47 * 340),
      });
    });

    it("is given up early when audio and video are too far apart", async () => {
      const far = {
        sizes: Array.from({ length: 200_000 }, () => 200),
        chunkOffsets: [50_000_000],
      };
      const slices = new CountedSlices();
      const { fits } = await open(
        withTables(moov, { ...far, chunkOffsets: [1000], syncSamples: [1] }, far),
        null,
        slices,
      );
      expect(fits).toBe(false);
      // Each table is read once, and only the samples that may be held back are examined.
      expect(slices.units).toBeLessThan(1_000_000);
    });

    it("is refused when it is full of entries for no samples", async () => {
      const empty = Array.from({ length: 300_000 }, () => [0, 1] as const);
      const bytes = withTables(moov, { ...ORDINARY, durations: [...empty, [1, 1]] }, ORDINARY);
      const slices = new CountedSlices();
      await expect(open(bytes, null, slices)).rejects.toThrow(/empty entries/);
      expect(slices.longest).toBeLessThan(UNITS_IN_A_SLICE + 100);
    });

    it("is refused when it is full of empty boxes", async () => {
      const junk = Buffer.concat(Array.from({ length: 1_000_000 }, () => numbers([8, 0x66726565])));
      await expect(open(Buffer.concat([junk, moov]), null)).rejects.toThrow(/too many boxes/);
      await expect(open(box("trak", junk), null)).rejects.toThrow(Mp4Error);
    });

    it("is read when its runs have huge counts", async () => {
      const video = {
        ...ORDINARY,
        durations: [[0xffff_ffff, 0xffff_ffff]] as const,
        chunkRuns: [[1, 0xffff_ffff]] as const,
      };
      const { media } = await open(withTables(moov, video, { ...ORDINARY, chunkOffsets: [2000] }), null);
      expect(media.durationMs).toBeGreaterThan(0);
    });
  });
});
