import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FragmentFinder } from "./find-fragment.ts";
import type { FragmentedMovie } from "./fragmented-movie.ts";
import { COPYABLE_VIDEO, CountedFile, FileServer, ffmpeg } from "./mp4.test-support.ts";

const SECONDS = 240;
let folder: string;
let server: FileServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "roomcast-fragments-"));
  server = await FileServer.start();
  const inputs = ["-f", "lavfi", "-i", `testsrc2=s=320x180:r=25:d=${SECONDS}`, "-f", "lavfi", "-i", "sine=r=48000"];
  await ffmpeg([...inputs, "-t", String(SECONDS), ...COPYABLE_VIDEO, join(folder, "whole.mp4")]);
}, 60_000);
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

async function fragmented(name: string, flags: string, ...more: string[]): Promise<Buffer> {
  const path = join(folder, name);
  await ffmpeg(["-i", join(folder, "whole.mp4"), "-c", "copy", ...more, "-movflags", flags, path]);
  return await readFile(path);
}

async function movieOf(bytes: Buffer): Promise<FragmentedMovie> {
  server.file = bytes;
  const result = await server.open();
  if (result.name !== "fragmented") throw new Error(`not fragmented: ${JSON.stringify(result)}`);
  return result.movie;
}

const PLAIN = "frag_keyframe+empty_moov+default_base_moof";

describe("FragmentFinder", () => {
  it.each<[string, string, string[]]>([
    ["without an index", `${PLAIN}+skip_trailer`, []],
    ["with an index at its end", PLAIN, []],
    ["with an index in front", `${PLAIN}+global_sidx`, []],
    [
      "with fragments that do not all begin with a keyframe",
      "empty_moov+default_base_moof",
      ["-frag_duration", "300000"],
    ],
    ["with a clock that begins late", `${PLAIN}+frag_discont+skip_trailer`, ["-output_ts_offset", "5000"]],
  ])("finds positions with few requests in a file %s", async (name, flags, more) => {
    const bytes = await fragmented(`${name.replaceAll(" ", "-")}.mp4`, flags, ...more);
    const movie = await movieOf(bytes);
    expect(movie.tracks.map(({ kind, format }) => [kind, format])).toEqual([
      ["video", "avc1"],
      ["audio", "mp4a"],
    ]);
    const file = new CountedFile(bytes);
    const finder = new FragmentFinder(file, movie);
    expect(await finder.durationMs()).toBeCloseTo(SECONDS * 1000, -2);
    // The requests are for the first fragment, the file's end, and the fragments in it.
    expect(finder.requests).toBeLessThanOrEqual(3);
    for (const startMs of [1500, 60_250, 121_900, 239_500, 400_000]) {
      const before = finder.requests;
      const found = await finder.find(startMs);
      expect(found?.startMs).toBeLessThanOrEqual(startMs);
      expect(found?.startMs).toBeGreaterThan(Math.min(startMs, SECONDS * 1000) - 3000);
      expect(bytes.toString("latin1", (found?.startByte ?? 0) + 4, (found?.startByte ?? 0) + 8)).toBe("moof");
      expect(finder.requests - before).toBeLessThan(20);
    }
    expect(file.bytesRead).toBeLessThan(bytes.length);
  });

  it("returns null for position 0 and for a server without ranges", async () => {
    const bytes = await fragmented("plain.mp4", PLAIN);
    const movie = await movieOf(bytes);
    expect(await new FragmentFinder(new CountedFile(bytes), movie).find(0)).toBeNull();
    const forward = Object.assign(new CountedFile(bytes), { seekable: false });
    expect(await new FragmentFinder(forward, movie).find(60_000)).toBeNull();
    expect(await new FragmentFinder(forward, movie).durationMs()).toBeNull();
  });

  it("reports a file as cut when an index in front lists missing fragments", async () => {
    const bytes = await fragmented("listed.mp4", `${PLAIN}+global_sidx+skip_trailer`);
    const movie = await movieOf(bytes);
    expect(await new FragmentFinder(new CountedFile(bytes), movie).isCut()).toBe(false);
    const lastStart = bytes.lastIndexOf("moof") - 4;
    expect(await new FragmentFinder(new CountedFile(bytes.subarray(0, lastStart)), movie).isCut()).toBe(true);
  });

  it("stops after a bounded number of requests in a damaged file", async () => {
    const bytes = await fragmented("damaged.mp4", `${PLAIN}+skip_trailer`);
    const movie = await movieOf(bytes);
    const damaged = Buffer.from(bytes);
    damaged.fill(0, Math.floor(bytes.length / 3), bytes.length - 100_000);
    const finder = new FragmentFinder(new CountedFile(damaged), movie);
    const found = await finder.find(100_000);
    expect(found === null || found.startMs <= 100_000).toBe(true);
    expect(finder.requests).toBeLessThan(200);
  });
});
