import { setTimeout as delay } from "node:timers/promises";
import type { SessionReport } from "@roomcast/dev/emulator/room-report";
import { sampleClip } from "@roomcast/dev/stack/sample-media";
import { SDK_APP_ID, type Stack, startStack } from "@roomcast/dev/stack/stack";
import type { WorkerHandle } from "@roomcast/dev/stack/start-worker";
import { median } from "../base/median.ts";
import type { FailoverReport } from "./control-report.ts";

export interface MeasureFailoverOptions {
  readonly runs: number;
  readonly onProgress: (what: string) => void;
  readonly signal: AbortSignal;
}

const USER_ID = "bench";
const CLIP_S = 60;
/** A push has found its pace, and the edge knows its position. */
const PLAYED_MS = 2500;
const POLL_MS = 5;
const PATIENCE_MS = 60_000;

/** From `kill -9` of the worker that has a push to the next picture in the room, on the real stack. */
export async function measureFailover({ runs, onProgress, signal }: MeasureFailoverOptions): Promise<FailoverReport> {
  onProgress("starting the stack");
  const clipPath = await sampleClip({ durationS: CLIP_S });
  // One user pushes into many rooms: what is measured is the load, not the rooms' rules.
  const stack = await startStack({ workers: 0, redis: false, roomRules: { userIdPerApp: false } });
  signal.addEventListener("abort", () => void stack.stop());
  const workers = new Map<string, WorkerHandle>();
  let made = 0;
  const addWorker = async () => {
    made += 1;
    const workerId = `bench-${made}`;
    workers.set(workerId, await stack.addWorker({ workerId }));
  };
  try {
    await Promise.all([addWorker(), addWorker()]);
    const timesMs: number[] = [];
    for (let run = 1; run <= runs; run += 1) {
      onProgress(`kill -9, ${run} of ${runs}`);
      timesMs.push(await killOnce({ stack, workers, clipPath, room: `failover_${run}` }));
      await addWorker();
    }
    return { runs, medianMs: median(timesMs), worstMs: Math.max(...timesMs), timesMs };
  } finally {
    await stack.stop();
  }
}

interface KillOnce {
  readonly stack: Stack;
  readonly workers: Map<string, WorkerHandle>;
  readonly clipPath: string;
  readonly room: string;
}

async function killOnce({ stack, workers, clipPath, room }: KillOnce): Promise<number> {
  const session = (number: number) => sessionsOf(stack, room).find((known) => known.number === number);
  const taskId = await stack.client.push({
    VideoSrc: stack.files.serve(clipPath),
    SdkAppId: SDK_APP_ID,
    StrRoomId: room,
    UserId: USER_ID,
    UserSig: await stack.userSig(USER_ID),
  });
  await until(() => playedMs(session(1)) >= PLAYED_MS, "The push did not start.");
  const { workerId } = await stack.client.task(taskId);
  const holder = workers.get(workerId ?? "");
  if (holder === undefined) throw new Error(`Nobody knows the worker that has the push: ${workerId}.`);
  const killedAtMs = Date.now();
  await holder.kill();
  workers.delete(workerId ?? "");
  const firstTagAtMs = () => session(2)?.stream.video?.firstTagAtMs ?? undefined;
  await until(() => firstTagAtMs() !== undefined, "No other worker went on with the push.");
  const tookMs = (firstTagAtMs() ?? Number.NaN) - killedAtMs;
  await stack.client.stop(taskId);
  return tookMs;
}

function sessionsOf(stack: Stack, room: string): readonly SessionReport[] {
  return stack.emulator.rooms().find(({ id }) => id === room)?.users[0]?.sessions ?? [];
}

function playedMs(session: SessionReport | undefined): number {
  const video = session?.stream.video;
  return (video?.lastTimestampMs ?? 0) - (video?.firstTimestampMs ?? 0);
}

async function until(holds: () => boolean, otherwise: string): Promise<void> {
  for (const deadlineMs = Date.now() + PATIENCE_MS; !holds(); await delay(POLL_MS)) {
    if (Date.now() > deadlineMs) throw new Error(otherwise);
  }
}
