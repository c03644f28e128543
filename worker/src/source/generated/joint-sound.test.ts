import { parseAddressPolicy } from "@roomcast/shared";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Egress } from "../../egress/egress.ts";
import { findMediaTools, type MediaTools } from "../ffmpeg/media-tools.ts";
import { SourceFactory } from "../open/open-source.ts";
import { media, readToEnd } from "../sources.test-support.ts";
import { ClipShelf } from "./clip-shelf.test-support.ts";
import { ComposedServer } from "./composed-server.test-support.ts";
import { type Composition, compose, type HlsShape, type Piece } from "./composition.test-support.ts";
import { publish } from "./publish.test-support.ts";
import { watch } from "./watched.test-support.ts";

const cleanUps: (() => Promise<unknown>)[] = [];
let tools: MediaTools;
let shelf: ClipShelf;
let server: ComposedServer;
let egress: Egress;
let sources: SourceFactory;
beforeAll(async () => {
  const found = await findMediaTools();
  if (found.name === "missing") throw new Error(found.problems.map(({ message }) => message).join("\n"));
  tools = found.tools;
  shelf = await ClipShelf.open({ path: tools.ffmpegPath, version: tools.ffmpegVersion });
  server = await ComposedServer.start();
  egress = new Egress({ policy: parseAddressPolicy(["127.0.0.1"]) });
  sources = await SourceFactory.start({ tools, egress });
});
afterAll(async () => {
  for (const cleanUp of cleanUps) await cleanUp();
  await sources.close();
  await egress.close();
  await server.stop();
});
/** Composes a recording of two parts with different sample rates. */
function composition(seed: number, shape: Pick<Composition, "container" | "video"> & Pick<HlsShape, "soundApart">) {
  const { container, video, soundApart } = shape;
  const piece = (clip: Piece["clip"], number: number, discontinuity = false): Piece => {
    return { clip, number, discontinuity, there: "yes" };
  };
  const hls: HlsShape = {
    pieces: [piece("plain", 0), piece("plain", 1), piece("other sound", 0, true), piece("other sound", 1)],
    end: "ENDLIST",
    lineEnd: "\n",
    byteOrderMark: false,
    encryption: "none",
    byteRanges: false,
    master: false,
    soundApart,
  };
  const plain = {
    name: "a.m3u8",
    ranges: "whole",
    gzip: false,
    redirect: "none",
    cookie: false,
    token: false,
  } as const;
  const made = { ...compose(seed), ...plain, container, video, audio: "aac", start: "together", startAtMs: 0 } as const;
  return { ...made, hls, trouble: "none" } satisfies Composition;
}

/** The ways of playing, with the joint in tenths of a second of playing time; both parts have 4 s. */
const PLANS = [
  { name: "at 1.5 times its speed", plan: { tempo: 1.5 }, jointAt: 26 },
  { name: "at half its volume", plan: { volume: 50 }, jointAt: 40 },
] as const;
const SHAPES = [
  { name: "with B-frames in TS", container: "hls of ts", video: "h264 with B-frames", soundApart: false },
  { name: "with B-frames in fMP4", container: "hls of fmp4", video: "h264 with B-frames", soundApart: false },
  { name: "with its sound in a playlist apart", container: "hls of ts", video: "h264", soundApart: true },
] as const;
/** A tone of the clips has a level of at least 1000 at half its volume. */
const LOUD = 400;

describe("An HLS recording that changes its sound", () => {
  for (const [at, { name, container, video, soundApart }] of SHAPES.entries()) {
    for (const { name: how, plan, jointAt } of PLANS) {
      it(`plays its sound without a gap ${how}: ${name}`, async () => {
        const seed = at * PLANS.length + (jointAt === 40 ? 1 : 0);
        const url = await publish(composition(seed, { container, video, soundApart }), shelf, server);
        const { signal } = new AbortController();
        const log = pino({ level: "silent" });
        const source = await sources.open({ url, live: false, startAtMs: 0, signal, log, ...plan });
        cleanUps.push(() => source.close());
        const { tags } = await readToEnd(source);
        const times = media(tags, "audio").map(({ dtsMs }) => dtsMs);
        const gaps = times.slice(1).map((time, number) => time - (times[number] ?? 0));
        // A frame of AAC at 44.1 kHz takes 23 ms.
        expect(Math.max(...gaps) - 23, "ms without sound").toBeLessThanOrEqual(60);
        const { loudness } = await watch(tools.ffmpegPath, tags);
        const heard = loudness.slice(jointAt - 5, jointAt + 10);
        expect(heard).toHaveLength(15);
        expect(Math.min(...heard), "loudness of the most silent tenth").toBeGreaterThan(LOUD);
      });
    }
  }
});
