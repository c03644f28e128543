import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { RoomEmulator } from "@roomcast/dev/emulator/room-emulator";
import { sampleClip } from "@roomcast/dev/stack/sample-media";
import { type FileServerHandle, startFileServer } from "@roomcast/dev/stack/start-file-server";
import { mintUserSig, parseAddressPolicy, RoomcastError, type Seat, type TaskUpdate } from "@roomcast/shared";
import { Egress } from "@roomcast/worker/egress";
import { IndependentRtmpServer } from "@roomcast/worker/independent-rtmp-server";
import { findMediaTools, type MediaTools } from "@roomcast/worker/media-tools";
import { SourceFactory } from "@roomcast/worker/open-source";
import { RoomSession } from "@roomcast/worker/room-session";
import { RtmpPublisher } from "@roomcast/worker/rtmp-publisher";
import type { SessionTask } from "@roomcast/worker/session-task";
import { trtcPushUrls } from "@roomcast/worker/trtc-push-address";
import { pino } from "pino";
import { afterAll, beforeAll, describe, it } from "vitest";

const OPERATIONS = 100;
const SEED = 20_261_123;
const SEAT: Seat = { sdkAppId: 1_400_000_001, room: { kind: "string", id: "random" }, userId: "player" };
const SECRET_KEY = "a key for tests only";
const SIZE = { width: 320, height: 180 };
const CLIP_S = 30;
const COLLECTIONS = 6;
const BETWEEN_COLLECTIONS_MS = 100;

/** A small seeded generator (mulberry32), which gives the same session on every machine. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Shelf {
  /** Sources that can be played, copied and transcoded ones. */
  readonly good: readonly string[];
  /** Sources that fail, each in another way. */
  readonly bad: readonly string[];
}

let tools: MediaTools;
let files: FileServerHandle;
let factory: SourceFactory;
let egress: Egress;
let shelf: Shelf;

beforeAll(async () => {
  const found = await findMediaTools();
  if (found.name === "missing") throw new Error(found.problems.map(({ message }) => message).join("\n"));
  ({ tools } = found);
  const [plain, bFrames] = await Promise.all([
    sampleClip({ durationS: CLIP_S, size: SIZE }),
    sampleClip({ durationS: CLIP_S, size: SIZE, bFrames: true }),
  ]);
  files = await startFileServer();
  egress = new Egress({ policy: parseAddressPolicy(["127.0.0.1"]) });
  factory = await SourceFactory.start({ egress, tools });
  shelf = {
    good: [files.serve(plain), files.serve(plain), files.serve(bFrames)],
    bad: [
      files.serve(plain, { name: "status", status: 404 }),
      files.serve(plain, { name: "truncate", afterBytes: 2_000 }),
      `${files.origin}/not-served.mp4`,
    ],
  };
});

afterAll(async () => {
  await factory?.close();
  await egress?.close();
  await files?.stop();
});

function enterRoom(publishUrl: string): { readonly stay: SessionTask; readonly connections: () => number } {
  let connections = 0;
  const stay = new RoomSession().enter({
    taskId: "random",
    open: ({ url, startAtMs, volume, tempo, format }, signal) =>
      factory.open({ url, startAtMs, volume, tempo, ...format, live: false, signal, log: silent }),
    createPublisher: () => {
      connections += 1;
      return new RtmpPublisher({ url: publishUrl });
    },
    untilConfirmed: async () => ({ holds: () => true }),
    programme: { items: [shelf.good[0] ?? ""], plays: Number.POSITIVE_INFINITY },
    startAt: { item: 0, positionMs: 0 },
    volume: 100,
    tempo: 1,
    paused: false,
    preload: shelf.good.slice(1, 2),
    notBeforeMs: undefined,
    live: false,
    onItemError: "skip",
    limits: {
      sourceSilenceMs: 15_000,
      idleTimeoutMs: 10_000,
      longestPauseMs: 3_600_000,
      longestPlayMs: Number.POSITIVE_INFINITY,
    },
    roomLimits: { roomStallMs: 15_000, returnBudgetMs: 10_000 },
    log: silent,
    onState: () => {},
  });
  return { stay, connections: () => connections };
}

const silent = pino({ level: "silent" });

/** Returns one random operation of a user, and whether it must fail. */
function randomOperation(random: () => number): { readonly update: TaskUpdate; readonly fails: boolean } {
  // SAFETY: the index is below the length of a list that is not empty.
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  const kind = Math.floor(random() * 10);
  if (kind < 3) return { update: { VideoSrc: pick(shelf.good) }, fails: false };
  if (kind < 5) return { update: { SeekSecond: Math.round(random() * (CLIP_S - 4) * 10) / 10 }, fails: false };
  if (kind < 6) return { update: { IsPause: true }, fails: false };
  if (kind < 7) return { update: { IsPause: false }, fails: false };
  // A start near the end makes the source end, and loop, during the next operations.
  if (kind < 8) return { update: { VideoSrc: pick(shelf.good), SeekSecond: CLIP_S - 3 }, fails: false };
  if (kind < 9) return { update: { Preload: [pick(shelf.good)] }, fails: false };
  return { update: { VideoSrc: pick(shelf.bad) }, fails: true };
}

async function perform(stay: SessionTask): Promise<{ failed: number; unexpected: string[] }> {
  const random = seeded(SEED);
  const unexpected: string[] = [];
  let failed = 0;
  for (let n = 0; n < OPERATIONS; n += 1) {
    const { update, fails } = randomOperation(random);
    const error = await stay.change(update).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (fails && error instanceof RoomcastError && error.code.startsWith("FailedOperation.Source")) failed += 1;
    else if (error !== undefined || fails) unexpected.push(`${n} ${JSON.stringify(update)}: ${String(error)}`);
    // This is not a wait for a condition. It is the time between a user's operations, in which media plays.
    await new Promise((resolve) => setTimeout(resolve, 50 + random() * 250));
  }
  return { failed, unexpected };
}

/** Returns the bytes held after full collections: the least of several figures, since another thread frees buffers after each. */
async function heldBytes(): Promise<number> {
  setFlagsFromString("--expose-gc");
  // SAFETY: with the flag above, a new context has the function.
  const collect = runInNewContext("gc") as () => void;
  let leastBytes = Number.POSITIVE_INFINITY;
  for (let n = 0; n < COLLECTIONS; n += 1) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_COLLECTIONS_MS));
    const { heapUsed, external } = process.memoryUsage();
    leastBytes = Math.min(leastBytes, heapUsed + external);
  }
  return leastBytes;
}

describe.concurrent("RoomSession", () => {
  it("sends the room emulator one unbroken stream during 100 random switches, seeks, pauses and failing sources", async ({
    expect,
  }) => {
    const emulator = await RoomEmulator.start({ apps: { [SEAT.sdkAppId]: SECRET_KEY } });
    try {
      const userSig = await mintUserSig({
        sdkAppId: SEAT.sdkAppId,
        userId: SEAT.userId,
        secretKey: SECRET_KEY,
        lifetimeS: 3600,
        nowMs: Date.now(),
      });
      const hosts = { tls: false, base: emulator.rtmpUrl, baseByApp: {} };
      const { stay, connections } = enterRoom(trtcPushUrls({ hosts, seat: SEAT, userSig }).url);
      await expect.poll(() => stay.snapshot().state, { timeout: 20_000 }).toBe("pushing");
      const heldBefore = await heldBytes();
      const { failed, unexpected } = await perform(stay);
      expect(unexpected).toEqual([]);
      expect(failed).toBeGreaterThan(3);
      const grownBytes = (await heldBytes()) - heldBefore;
      stay.stop("tidy");
      expect(await stay.done).toMatchObject({ name: "aborted" });
      const user = emulator.rooms()[0]?.users[0];
      const stream = user?.sessions[0]?.stream;
      expect(connections()).toBe(1);
      expect(user?.publishes).toBe(1);
      expect(stream?.video?.timestampsBack).toBe(0);
      expect(stream?.audio?.timestampsBack).toBe(0);
      expect(stream?.video?.largestGapMs).toBeLessThanOrEqual(100);
      expect(stream?.audio?.largestGapMs).toBeLessThanOrEqual(100);
      expect(stream?.video?.bFrames).toBe(0);
      expect(stream?.video?.resolutionChanges).toBe(0);
      expect(Math.abs(stream?.avSkewMs ?? Number.NaN)).toBeLessThan(60);
      // This allows for the queues of two sources and for uncollected memory. A leak of 1 MB per operation would be seen.
      expect(grownBytes).toBeLessThan(24 * 1024 * 1024);
    } finally {
      await emulator.stop();
    }
  }, 180_000);

  it("sends an independent RTMP server one unbroken stream during 100 random operations, as ffmpeg reads it there", async ({
    expect,
  }) => {
    const server = await IndependentRtmpServer.start();
    const folder = await mkdtemp(join(tmpdir(), "roomcast-random-"));
    let recorder: ChildProcess | undefined;
    try {
      const url = `rtmp://127.0.0.1:${server.port}/live/random${Date.now()}`;
      const { stay, connections } = enterRoom(url);
      await expect.poll(() => stay.snapshot().state, { timeout: 20_000 }).toBe("pushing");
      const file = join(folder, "received.flv");
      recorder = spawn(tools.ffmpegPath, ["-nostdin", "-loglevel", "error", "-i", url, "-c", "copy", "-y", file]);
      const recorded = once(recorder, "exit");
      const { failed, unexpected } = await perform(stay);
      expect(unexpected).toEqual([]);
      expect(failed).toBeGreaterThan(3);
      stay.stop("tidy");
      await stay.done;
      // This server does not tell its players that a publisher leaves; it only closes their connections when it stops.
      await server.stop();
      await recorded;
      expect(connections()).toBe(1);
      for (const kind of ["v", "a"] as const) {
        const dts = await packetTimes(file, kind);
        const steps = dts.slice(1).map((at, n) => at - (dts[n] ?? 0));
        expect(dts.length).toBeGreaterThan(300);
        expect(Math.min(...steps)).toBeGreaterThanOrEqual(0);
        expect(Math.max(...steps)).toBeLessThanOrEqual(100);
      }
    } finally {
      recorder?.kill("SIGKILL");
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    }
  }, 180_000);
});

/** Returns the DTS of each packet of a track in ms, as ffprobe reads them. */
async function packetTimes(file: string, kind: "v" | "a"): Promise<number[]> {
  const args = ["-v", "error", "-select_streams", kind, "-show_entries", "packet=dts", "-of", "csv=p=0", file];
  const { stdout } = await promisify(execFile)(tools.ffprobePath, args, { maxBuffer: 64 * 1024 * 1024 });
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => Number(line.split(",")[0]));
}
