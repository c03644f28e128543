import { readdirSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { sampleClip } from "@roomcast/dev/stack/sample-media";
import { SDK_APP_ID, type Stack } from "@roomcast/dev/stack/stack";
import { largestGaps } from "../media/picture-gaps.ts";
import { RoomTap } from "../media/room-tap.ts";
import { BENCH_USER_ID } from "../pushers/pusher.ts";
import { untilVideo } from "../pushers/receiver.ts";
import type { HostileReport, HostileRow } from "./hostile-report.ts";
import type { HostilePush, Workshop } from "./hostile-sources.ts";
import { WorkerWatch } from "./worker-watch.ts";

export interface MeasureHostileOptions {
  readonly stack: Stack;
  readonly sources: readonly (readonly [name: string, make: (shop: Workshop) => Promise<HostilePush> | HostilePush])[];
  readonly workshop: Workshop;
  /** The folder of the worker's temporary files. */
  readonly workerFolder: string;
  readonly metricsPort: number;
  readonly limitS: number;
  readonly onProgress: (what: string) => void;
  readonly signal: AbortSignal;
}

const HEALTHY_ROOM = "hostile_healthy";
const HEALTHY_CLIP_S = 60;
const BASELINE_S = 15;
const POLL_MS = 100;
const SETTLE_MS = 1000;
/** The time that children have to end after a stop. */
const LEAVE_MS = 5000;
const HOSTILE_USER_ID = "hostile";

/** The outcome of a task. */
type End = Pick<HostileRow, "end" | "message">;

/** Pushes one hostile source after the other, while a healthy push runs in another room of the same worker. */
export async function measureHostile(
  options: MeasureHostileOptions,
): Promise<Pick<HostileReport, "rows" | "workerLost">> {
  const { stack, sources, signal, onProgress } = options;
  const [worker] = stack.workers;
  if (worker === undefined) throw new Error("The stack has no worker.");
  const userSig = await stack.userSig(BENCH_USER_ID);
  const clipUrl = stack.files.serve(await sampleClip({ durationS: HEALTHY_CLIP_S }));
  const healthy = { SdkAppId: SDK_APP_ID, StrRoomId: HEALTHY_ROOM, UserId: BENCH_USER_ID, UserSig: userSig };
  await stack.client.push({ ...healthy, VideoSrc: clipUrl, RepeatNum: -1 });
  await untilVideo(stack.emulator, [HEALTHY_ROOM], signal);
  const tap = RoomTap.open(stack.emulator, HEALTHY_ROOM);
  const rows: HostileRow[] = [];
  const watch = new WorkerWatch(worker.pid, options.metricsPort);
  const take = (source: string, play: () => Promise<End>) => measureOne({ ...options, source, play, tap, watch });
  const nothing = async (): Promise<End> => {
    await sleep(BASELINE_S * 1000, undefined, { signal });
    return { end: "-", message: "" };
  };
  // The first seconds of a worker are not like those that follow.
  await nothing();
  rows.push(await take("nothing", nothing));
  for (const [name, make] of sources) {
    signal.throwIfAborted();
    onProgress(name);
    const push = await make(options.workshop);
    // To make it takes this process a while, in which connections that were kept have ended.
    await sleep(SETTLE_MS);
    const row = await take(name, () => playToItsEnd(options, push, `hostile_${rows.length}`));
    rows.push(row);
    await push.close?.();
    options.workshop.server.clear();
    onProgress(`  ${row.end} after ${row.seconds.toFixed(1)} s, stall ${row.stallMs.toFixed(0)} ms: ${row.message}`);
    if (worker.exit !== undefined) return { rows, workerLost: true };
  }
  rows.push(await take("nothing", nothing));
  tap.close();
  return { rows, workerLost: false };
}

interface MeasureOneOptions extends MeasureHostileOptions {
  readonly source: string;
  readonly play: () => Promise<End>;
  readonly tap: RoomTap;
  readonly watch: WorkerWatch;
}

async function measureOne({ source, play, tap, watch, workerFolder }: MeasureOneOptions): Promise<HostileRow> {
  const own = monitorEventLoopDelay({ resolution: 10 });
  own.enable();
  const firstPicture = Math.max(0, tap.pictures.length - 1);
  const startedMs = performance.now();
  let seconds = 0;
  let end: End = { end: "", message: "" };
  const use = await watch.during(async () => {
    end = await play();
    seconds = (performance.now() - startedMs) / 1000;
    // The work that ends a task continues after the end is reported.
    for (const deadlineMs = Date.now() + LEAVE_MS; watch.childPids().length > 0 && Date.now() < deadlineMs; ) {
      await sleep(POLL_MS);
    }
  });
  own.disable();
  const gaps = largestGaps(tap.pictures.slice(firstPicture));
  const silentMs = performance.now() - (tap.pictures.at(-1)?.arrivedAtMs ?? startedMs);
  return {
    source,
    ...end,
    seconds,
    ...use,
    gapMs: gaps.dtsMs,
    arrivalGapMs: Math.max(gaps.arrivalMs, silentMs),
    benchStallMs: own.max / 1e6,
    leftChildren: watch.childPids().length,
    leftFiles: readdirSync(workerFolder).length,
  };
}

async function playToItsEnd(options: MeasureHostileOptions, push: HostilePush, room: string): Promise<End> {
  const { stack, limitS, signal } = options;
  const { close: _close, ...fields } = push;
  const taskId = await stack.client.push({
    ...fields,
    SdkAppId: SDK_APP_ID,
    StrRoomId: room,
    UserId: HOSTILE_USER_ID,
    UserSig: await stack.userSig(HOSTILE_USER_ID),
  });
  for (const deadlineMs = Date.now() + limitS * 1000; Date.now() < deadlineMs; ) {
    const { status, state, error, reason } = await stack.client.task(taskId);
    if (status !== "RUNNING") return { end: error?.code ?? reason ?? state, message: error?.message ?? "" };
    await sleep(POLL_MS, undefined, { signal });
  }
  await stack.client.stop(taskId);
  while ((await stack.client.task(taskId)).status === "RUNNING") await sleep(POLL_MS, undefined, { signal });
  return { end: "running", message: "" };
}
