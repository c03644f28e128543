import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { SDK_APP_ID, type Stack } from "@roomcast/dev/stack/stack";
import { median } from "../base/median.ts";
import { cpuSecondsOf, pssBytesOf } from "../base/process-usage.ts";
import { untilVideo } from "../pushers/receiver.ts";
import type { SoakReport, SoakRooms, SoakSample } from "./soak-report.ts";

export interface MeasureSoakOptions {
  readonly stack: Stack;
  /** Played in an endless loop by each stream. */
  readonly clip: { readonly path: string; readonly durationS: number };
  readonly streams: number;
  readonly minutes: number;
  readonly sampleEveryS: number;
  /** The interval at which one of the streams is sent to another position of its source. */
  readonly seekEveryS: number;
  readonly signal: AbortSignal;
  readonly onProgress: (what: string) => void;
}

const USER_ID = "soak";
const SEEK_STEP_S = 7;

/** Many streams for a long time: what the worker holds must not grow, and no room may see a seam. */
export async function measureSoak(options: MeasureSoakOptions): Promise<SoakReport> {
  const { stack, minutes, sampleEveryS, signal, onProgress } = options;
  const rooms = Array.from({ length: options.streams }, (_, n) => `soak_${n}`);
  onProgress(`starting ${rooms.length} streams`);
  const taskIds = await startAll(stack, rooms, stack.files.serve(options.clip.path));
  await untilVideo(stack.emulator, rooms, signal);
  const sampler = new Sampler(stack);
  const samples: SoakSample[] = [];
  const endAtMs = performance.now() + minutes * 60_000;
  const seeking = seekNowAndThen(options, taskIds, endAtMs);
  // Both end by the signal; what is thrown there is seen below.
  seeking.catch(() => undefined);
  while (performance.now() < endAtMs) {
    await sleep(Math.min(sampleEveryS * 1000, Math.max(0, endAtMs - performance.now())), undefined, { signal });
    // An hour with fewer streams than were asked for would show nothing.
    await checkAllRun(stack, taskIds);
    const sample = sampler.sample();
    samples.push(sample);
    onProgress(
      `${(sample.seconds / 60).toFixed(1)} of ${minutes} min: worker ${sample.workerPssMb.toFixed(1)} MB, ` +
        `${sample.workerCores.toFixed(2)} cores, ${sample.workerFiles} files; largest gap ${roomsSeen(stack, rooms).largestGapMs} ms`,
    );
  }
  const sought = await seeking;
  return {
    suite: "soak",
    minutes,
    ...sought,
    rooms: roomsSeen(stack, rooms),
    samples,
    early: quarter(samples, 1),
    late: quarter(samples, 3),
  };
}

/** @throws Error with the reasons why streams have ended */
async function checkAllRun({ client }: Stack, taskIds: readonly string[]): Promise<void> {
  const tasks = await Promise.all(taskIds.map((taskId) => client.task(taskId)));
  const ended = tasks.filter(({ status }) => status !== "RUNNING");
  if (ended.length === 0) return;
  const reasons = new Set(ended.map(({ endedAt, error, reason }) => `${endedAt}: ${error?.message ?? reason}`));
  throw new Error(`${ended.length} of ${tasks.length} pushes have ended:\n${[...reasons].join("\n")}`);
}

async function startAll(stack: Stack, rooms: readonly string[], clipUrl: string): Promise<string[]> {
  const UserSig = await stack.userSig(USER_ID);
  const taskIds: string[] = [];
  for (const StrRoomId of rooms) {
    const push = { VideoSrc: clipUrl, SdkAppId: SDK_APP_ID, StrRoomId, UserId: USER_ID, UserSig, RepeatNum: -1 };
    taskIds.push(await stack.client.push(push));
  }
  return taskIds;
}

/** Sends one stream after the other to a place of its source, until the end. */
async function seekNowAndThen(
  { stack, clip, seekEveryS, signal }: MeasureSoakOptions,
  taskIds: readonly string[],
  endAtMs: number,
): Promise<Pick<SoakReport, "seeks" | "refusedSeeks">> {
  let seeks = 0;
  let refusedSeeks = 0;
  while (performance.now() + seekEveryS * 1000 < endAtMs) {
    await sleep(seekEveryS * 1000, undefined, { signal });
    const taskId = taskIds[seeks % taskIds.length] ?? "";
    const SeekSecond = (seeks * SEEK_STEP_S) % (clip.durationS - SEEK_STEP_S);
    seeks += 1;
    try {
      await stack.client.change(taskId, { SeekSecond });
    } catch {
      // On a busy machine a source may be late; then the push continues unchanged, which is part of this test.
      refusedSeeks += 1;
    }
  }
  return { seeks, refusedSeeks };
}

class Sampler {
  readonly #workerPids: readonly number[];
  readonly #startedMs = performance.now();
  #atMs = performance.now();
  #cpuSeconds: number;

  constructor({ workers }: Stack) {
    this.#workerPids = workers.map(({ pid }) => pid);
    this.#cpuSeconds = cpuSecondsOf(this.#workerPids);
  }

  sample(): SoakSample {
    const nowMs = performance.now();
    const cpuSeconds = cpuSecondsOf(this.#workerPids);
    const sample = {
      seconds: Math.round((nowMs - this.#startedMs) / 1000),
      workerPssMb: pssBytesOf(this.#workerPids) / 1e6,
      workerFiles: this.#workerPids.reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/fd`).length, 0),
      workerCores: ((cpuSeconds - this.#cpuSeconds) * 1000) / (nowMs - this.#atMs),
    };
    this.#atMs = nowMs;
    this.#cpuSeconds = cpuSeconds;
    return sample;
  }
}

/** @param n 0 to 3 */
function quarter(samples: readonly SoakSample[], n: number): Omit<SoakSample, "seconds"> {
  const part = samples.slice(Math.floor((samples.length * n) / 4), Math.ceil((samples.length * (n + 1)) / 4));
  const of = (key: keyof SoakSample) => median(part.map((sample) => sample[key]));
  return {
    workerPssMb: of("workerPssMb"),
    workerFiles: of("workerFiles"),
    workerCores: of("workerCores"),
  };
}

function roomsSeen({ emulator }: Stack, rooms: readonly string[]): SoakRooms {
  const wanted = new Set(rooms);
  const sessions = emulator
    .rooms()
    .filter(({ id }) => wanted.has(id))
    .flatMap(({ users }) => users.flatMap((user) => user.sessions.map(({ stream }) => stream)));
  const videos = sessions.map(({ video }) => video).filter((video) => video !== null);
  return {
    streams: rooms.length,
    sessions: sessions.length,
    pictures: videos.reduce((sum, { tags }) => sum + tags, 0),
    timestampsBack: sessions.reduce(
      (sum, { video, audio }) => sum + (video?.timestampsBack ?? 0) + (audio?.timestampsBack ?? 0),
      0,
    ),
    largestGapMs: largest(videos.map(({ largestGapMs }) => largestGapMs)),
    largestArrivalGapMs: largest(videos.map(({ largestArrivalGapMs }) => largestArrivalGapMs)),
    largestAvSkewMs: largest(sessions.map(({ largestAvSkewMs }) => largestAvSkewMs ?? 0)),
  };
}

function largest(values: readonly number[]): number {
  return Math.max(0, ...values);
}
