import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RoomcastError } from "@roomcast/shared";
import { beforeAll, describe, expect, it } from "vitest";
import { randomFrom } from "../demux/demux.test-support.ts";
import { listBoxes } from "./box.ts";
import { FragmentFinder } from "./find-fragment.ts";
import { type FragmentedMovie, parseFragmentedMovie } from "./fragmented-movie.ts";
import { fitsInOnePass } from "./layout.ts";
import { type Movie, parseMovie } from "./movie.ts";
import { CountedFile, CountedSlices, drain, ffmpeg } from "./mp4.test-support.ts";
import { Mp4Error } from "./mp4-error.ts";
import { mediaInfoOf } from "./mp4-media-info.ts";
import { openMp4Source } from "./open-mp4-source.ts";
import type { OpenRange } from "./range-stream.ts";
import { SampleCursor } from "./sample-cursor.ts";
import { UNITS_IN_A_SLICE } from "./work-slices.ts";
import { withEdits, withTables } from "./written-index.test-support.ts";

const INPUTS = "-f lavfi -i testsrc2=s=64x48:r=10:d=2 -f lavfi -i sine=r=16000:d=2".split(" ");
const SOUND = "-c:a aac -b:a 16k".split(" ");
const PICTURE = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 5".split(" ");
const FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof";

/** ffmpeg options for files whose samples are listed in one index. */
const WHOLE: Readonly<Record<string, string[]>> = {
  "index in front": [...PICTURE, "-bf", "0", "-movflags", "faststart"],
  "reordered pictures": [...PICTURE, "-bf", "2", "-movflags", "faststart"],
  "index at the end": [...PICTURE, "-bf", "0"],
};
const FRAGMENTED: Readonly<Record<string, string[]>> = {
  "no index of fragments": [...PICTURE, "-bf", "0", "-movflags", `${FRAGMENTS}+skip_trailer`],
  "an index at the end": [...PICTURE, "-bf", "2", "-movflags", FRAGMENTS],
  "an index in front": [...PICTURE, "-bf", "0", "-movflags", `${FRAGMENTS}+global_sidx`],
};
/** Boxes that contain counts, positions or sizes of something else. */
const TABLES = "mvhd tkhd mdhd hdlr elst stsd stts ctts stsc stsz stco stss avcC esds dref mvex trex mehd".split(" ");
const LISTS = "moof mfhd traf tfhd tfdt trun sidx mfra tfra mfro mdat free".split(" ");
const HOSTILE = [0, 1, 2, 7, 1000, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];
const POSITIONS_MS = [0, 1, 730, 1999, 2001, 90_000, Number.MAX_SAFE_INTEGER];

const clips = new Map<string, Buffer>();
beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "roomcast-mp4-fuzz-"));
  const recipes = Object.entries({ ...WHOLE, ...FRAGMENTED });
  const outputs = recipes.flatMap(([, recipe], at) => [...recipe, ...SOUND, join(folder, `${at}.mp4`)]);
  await ffmpeg([...INPUTS, ...outputs]);
  for (const [at, [name]] of recipes.entries()) clips.set(name, await readFile(join(folder, `${at}.mp4`)));
  await rm(folder, { recursive: true });
});

function clip(name: string): Buffer {
  const found = clips.get(name);
  if (found === undefined) throw new Error(`no clip ${name}`);
  return found;
}

function moovIn(file: Buffer): { moov: Buffer; mediaByte: number } {
  const found = listBoxes(file, 0, file.length).find(({ type }) => type === "moov");
  if (found === undefined) throw new Error("no index");
  return { moov: Buffer.from(file.subarray(found.start, found.end)), mediaByte: found.end };
}

/** Runs a function that may refuse its input, and returns null if it does. Other errors are thrown with their place. */
async function refusable<T>(where: string, run: () => T | Promise<T>): Promise<T | null> {
  try {
    return await run();
  } catch (thrown) {
    if (thrown instanceof Mp4Error || thrown instanceof RoomcastError) return null;
    throw new Error(`${where}: ${String(thrown)}`, { cause: thrown });
  }
}

/** Overwrites random numbers of some boxes: sizes, counts and entries. */
function withHostileNumbers(bytes: Buffer, types: readonly string[], random: (below: number) => number): Buffer {
  const copy = Buffer.from(bytes);
  const places = types.flatMap((type) => {
    const found: number[] = [];
    for (let at = copy.indexOf(type, 0, "latin1"); at >= 4; at = copy.indexOf(type, at + 4, "latin1")) found.push(at);
    return found;
  });
  for (let wrong = 1 + random(3); wrong > 0; wrong -= 1) {
    const place = places[random(places.length)] ?? 4;
    const at = place - 4 + 4 * (random(4) === 0 ? 0 : 2 + random(8));
    const value = random(4) === 0 ? random(64) : (HOSTILE[random(HOSTILE.length)] ?? 0);
    if (at + 4 <= copy.length) copy.writeUInt32BE(value, at);
  }
  return copy;
}

function withNoise(bytes: Buffer, { from, to }: { from: number; to: number }, random: (below: number) => number) {
  const copy = Buffer.from(bytes);
  for (let wrong = 1 + random(6); wrong > 0; wrong -= 1) {
    const at = from + random(to - from);
    copy.writeUInt8(random(2) === 0 ? random(256) : copy.readUInt8(at) ^ (1 << random(8)), at);
  }
  return copy;
}

/** Counts every number that is read from a buffer, even if the reader does not report it as work. */
function countReads(bytes: Buffer): () => number {
  let reads = 0;
  const read = bytes.readUInt32BE.bind(bytes);
  bytes.readUInt32BE = (at) => {
    reads += 1;
    return read(at);
  };
  return () => reads;
}

/** Reads an index as opening does, finds positions in it and steps through its samples. */
async function expectBoundedWork(moov: Buffer, fileBytes: number, where: string): Promise<Movie | null> {
  const slices = new CountedSlices();
  const reads = countReads(moov);
  const movie = await refusable(where, async () => {
    const found = await parseMovie(moov, { fileBytes, slices });
    mediaInfoOf(found);
    const { video, audio } = found;
    if (video !== null && audio !== null) await fitsInOnePass({ video, audio }, { maxHeldBytes: 2 ** 21, slices });
    return found;
  });
  const entries = moov.length / 4;
  expect(slices.units, `at ${where}`).toBeLessThan(40 * fileBytes + 4 * entries);
  expect(slices.longest, `at ${where}`).toBeLessThan(UNITS_IN_A_SLICE + 100);
  expect(reads(), `at ${where}`).toBeLessThan(40 * fileBytes + 100 * entries);
  for (const { samples, timescale, shiftMs } of [movie?.video, movie?.audio].filter((track) => track != null)) {
    for (const positionMs of POSITIONS_MS) {
      const before = reads();
      const sample = samples.sampleAt(Math.max(0, ((positionMs - shiftMs) * timescale) / 1000));
      expect(sample >= 0 && sample < samples.sampleCount, `${where}, ${positionMs} ms`).toBe(true);
      const first = samples.syncSampleAt(sample) ?? 0;
      const cursor = new SampleCursor(samples, first);
      const { offset, decodeTime, size } = cursor;
      expect([offset, decodeTime, size].every(Number.isFinite), `${where}, ${positionMs} ms`).toBe(true);
      expect(reads() - before, `${where}, ${positionMs} ms`).toBeLessThan(4000);
    }
  }
  return movie;
}

/** Opens a file in memory like one on a server, and plays it to its end if possible. */
async function expectPlayedOrRefused(file: Buffer, startAtMs: number, where: string): Promise<void> {
  const openRange: OpenRange = async (startByte) => {
    const pieces = [file.subarray(startByte, startByte + 5000), file.subarray(startByte + 5000)];
    const body = (async function* () {
      yield* pieces.filter(({ length }) => length > 0);
    })();
    return { body, totalBytes: file.length, seekable: true };
  };
  const signal = new AbortController().signal;
  await refusable(where, async () => {
    const result = await openMp4Source({ openRange, startAtMs, signal });
    if (result.name !== "opened") return;
    const tags = await drain(result.source);
    await result.source.close();
    const { end } = result.source;
    expect(end?.name === "finished" || end?.error instanceof RoomcastError, `${where}: ended as ${end?.name}`).toBe(
      true,
    );
    const odd = tags.filter(({ dtsMs }) => !Number.isFinite(dtsMs));
    expect(odd, `at ${where}`).toEqual([]);
  });
}

describe("MP4 demuxer", () => {
  describe.each(Object.keys(WHOLE))("when a file with %s is damaged", (name) => {
    it("refuses or plays a file that ends at any byte", async () => {
      const file = clip(name);
      for (let length = 0; length < file.length; length += 397)
        await expectPlayedOrRefused(file.subarray(0, length), 0, `cut at ${length}`);
    });

    it("does bounded work for an index that ends at any byte", async () => {
      const { moov } = moovIn(clip(name));
      for (let length = 0; length < moov.length; length += 7) {
        await expectBoundedWork(Buffer.from(moov.subarray(0, length)), 20_000, `cut at ${length}`);
      }
    });

    it("refuses or plays a file with wrong bytes", async () => {
      const file = clip(name);
      const { moov, mediaByte } = moovIn(file);
      const index = { from: mediaByte - moov.length, to: mediaByte };
      for (let seed = 1; seed <= 80; seed += 1) {
        const random = randomFrom(seed);
        const bytes = withNoise(file, random(4) === 0 ? { from: 0, to: file.length } : index, random);
        await expectPlayedOrRefused(bytes, random(2) * 1300, `seed ${seed}`);
      }
    });

    it("does bounded work for an index with hostile numbers", async () => {
      const file = clip(name);
      const { moov } = moovIn(file);
      let accepted = 0;
      for (let seed = 1; seed <= 400; seed += 1) {
        const movie = await expectBoundedWork(
          withHostileNumbers(moov, TABLES, randomFrom(seed)),
          file.length,
          `seed ${seed}`,
        );
        if (movie !== null) accepted += 1;
      }
      // Without enough accepted files, the code after the parser would not be tested.
      expect(accepted).toBeGreaterThan(100);
    });

    it("refuses or plays a file with hostile numbers", async () => {
      const file = clip(name);
      for (let seed = 1; seed <= 80; seed += 1) {
        const random = randomFrom(seed);
        await expectPlayedOrRefused(withHostileNumbers(file, TABLES, random), random(2) * 1300, `seed ${seed}`);
      }
    });
  });

  describe("when the index has random tables", () => {
    it("does work in proportion to the number of entries", async () => {
      const { moov } = moovIn(clip("index in front"));
      for (let seed = 1; seed <= 150; seed += 1) {
        const random = randomFrom(seed);
        const number = (below: number) => (random(8) === 0 ? (HOSTILE[random(HOSTILE.length)] ?? 0) : random(below));
        const tables = () => {
          const count = 1 + random(300);
          const entries = <T>(most: number, make: (at: number) => T) =>
            Array.from({ length: 1 + random(most) }, (_, at) => make(at));
          return {
            sizes: Array.from({ length: count }, () => number(400)),
            durations: [...entries(40, () => [number(30), number(2000)] as const), [count, 512] as const],
            chunkRuns: entries(4, (at) => [1 + at * (1 + random(3)), number(60)] as const),
            chunkOffsets: entries(60, (at) => Math.min(0xffff_ffff, 1000 + at * number(20_000))),
            ...(random(2) === 0 ? {} : { syncSamples: entries(9, (at) => 1 + at * (1 + random(20))) }),
          };
        };
        await expectBoundedWork(withTables(moov, tables(), tables()), 1_000_000, `seed ${seed}`);
      }
    });

    it("finds a position after the end without reading entries that apply to no sample", async () => {
      const { moov } = moovIn(clip("index in front"));
      const durations = Array.from({ length: 50_000 }, () => [1, 512] as const);
      const ordinary = { sizes: [100], syncSamples: [1] };
      const bytes = withTables(moov, { ...ordinary, durations }, { ...ordinary, durations, chunkOffsets: [2000] });
      expect(await expectBoundedWork(bytes, 1_000_000, "surplus entries")).not.toBeNull();
    });

    it("refuses or plays a file with random edits", async () => {
      const file = clip("index at the end");
      for (let seed = 1; seed <= 200; seed += 1) {
        const random = randomFrom(seed);
        const number = () => (random(2) === 0 ? (HOSTILE[random(HOSTILE.length)] ?? 0) : random(3000));
        const edits = Array.from({ length: random(4) }, () => [number(), number()] as const);
        await expectPlayedOrRefused(withEdits(file, random(2), edits), random(2) * 1300, `seed ${seed}`);
      }
    });
  });

  /** Finds positions in a file, and expects few requests and reads. */
  async function expectFewRequests(file: Buffer, movie: FragmentedMovie, where: string): Promise<void> {
    const counted = new CountedFile(file);
    const finder = new FragmentFinder(counted, movie);
    await refusable(where, async () => {
      const durationMs = await finder.durationMs();
      expect(durationMs === null || Number.isFinite(durationMs), `at ${where}`).toBe(true);
      for (const startMs of [900, 1500, 60_000]) {
        const found = await finder.find(startMs);
        if (found === null) continue;
        expect(found.startMs, `at ${where}`).toBeLessThanOrEqual(startMs);
        expect(file.toString("latin1", found.startByte + 4, found.startByte + 8), `at ${where}`).toBe("moof");
      }
    });
    expect(finder.requests, `at ${where}`).toBeLessThan(400);
    expect(counted.reads, `at ${where}`).toBeLessThan(200_000);
  }

  describe.each(Object.keys(FRAGMENTED))("when a fragmented file with %s is damaged", (name) => {
    it.each([
      ["ends at any byte", 0],
      ["has wrong bytes", 1],
      ["has hostile numbers", 2],
    ])("finds positions with few requests or refuses the file when it %s", async (_how, how) => {
      const file = clip(name);
      const rounds = how === 0 ? Math.floor(file.length / 397) : 60;
      for (let seed = 1; seed <= rounds; seed += 1) {
        const random = randomFrom(seed);
        const bytes =
          how === 0
            ? file.subarray(0, seed * 397)
            : how === 1
              ? withNoise(file, { from: 0, to: file.length }, random)
              : withHostileNumbers(file, [...TABLES, ...LISTS], random);
        const { moov, mediaByte } = moovIn(file);
        const at = mediaByte - moov.length;
        const body = bytes.subarray(at, mediaByte);
        const movie = await refusable(`seed ${seed}`, () => parseFragmentedMovie(body, mediaByte));
        if (movie !== null) await expectFewRequests(bytes, movie, `seed ${seed}`);
        await expectPlayedOrRefused(bytes, 0, `seed ${seed}`);
      }
    });

    it("finds positions with few requests when the file is full of false fragments", async () => {
      const file = clip(name);
      const { moov, mediaByte } = moovIn(file);
      const movie = parseFragmentedMovie(moov, mediaByte);
      if (movie === null) throw new Error("not fragmented");
      const first = file.indexOf("moof", mediaByte, "latin1") - 4;
      const end = file.indexOf("moof", first + 8, "latin1") - 4;
      for (const claimed of [8, 24, 70_000]) {
        const lure = Buffer.from("\0\0\0\0moof\0\0\0\x10mfhd", "latin1");
        lure.writeUInt32BE(claimed, 0);
        const lures = Buffer.alloc(300_000, lure);
        await expectFewRequests(Buffer.concat([file.subarray(0, end), lures]), movie, `lures of ${claimed}`);
        const boxes = Buffer.alloc(100_000, Buffer.from("\0\0\0\x08free", "latin1"));
        await expectFewRequests(
          Buffer.concat([file.subarray(0, end), boxes, lures]),
          movie,
          `boxes, lures of ${claimed}`,
        );
      }
    });
  });
});
