import {
  type EdgeFrameOf,
  type LogLine,
  pushRequestSchema,
  RoomcastError,
  type TaskRef,
  type TaskUpdate,
  validate,
  type WorkerFrameOf,
} from "@roomcast/shared";
import { pino } from "pino";
import { eventually } from "../base/eventually.test-support.ts";
import type { ProgressRecord, ProgressValues } from "../redis-progress/progress-record.ts";
import type { RoomOutcome, RoomSnapshot, SessionTask, SessionTaskOptions } from "../seat/session-task.ts";
import type { Source, SourceInfo } from "../source/source.ts";
import { TaskHost } from "./task-host.ts";

export const TASK = "11111111-1111-4111-8111-111111111111";
export const OTHER = "22222222-2222-4222-8222-222222222222";

export const request = validate(pushRequestSchema, {
  VideoSrc: "https://media.example.com/a.mp4",
  SdkAppId: 1400000001,
  RoomId: 42,
  UserId: "teacher",
  UserSig: "sig",
});
export const withRedis = { ...request, Redis: true, RedisHost: "redis", RedisPort: 6379, RedisPassword: "" };

export function dispatch(changes: Partial<EdgeFrameOf<"dispatch">> = {}): EdgeFrameOf<"dispatch"> {
  return {
    type: "dispatch",
    taskId: TASK,
    attempt: 1,
    request,
    resumeAtMs: null,
    resumeItem: 0,
    paused: false,
    ...changes,
  };
}

export const DEFAULTS = { reconnectBudgetMs: 60_000, sourceSilenceMs: 15_000 };
/** A session task in memory that plays until the test ends it. */
export class MemorySessionTask implements SessionTask {
  readonly options: SessionTaskOptions;
  readonly stops: ("now" | "tidy")[] = [];
  readonly changes: TaskUpdate[] = [];
  readonly #ended = Promise.withResolvers<RoomOutcome>();
  readonly done = this.#ended.promise;
  /** True if the task ends when it is stopped. */
  obedient: boolean;
  /** The open sources of the task, with null for each source that is still being opened. */
  held: (SourceInfo | null)[] = [null];
  snapshotNow: RoomSnapshot;

  constructor(options: SessionTaskOptions, obedient: boolean) {
    this.options = options;
    this.obedient = obedient;
    this.snapshotNow = {
      ...options.startAt,
      state: "pushing",
      durationMs: 30_000,
      bitRateKbps: 2000,
      fps: 30,
      droppedFrames: 0,
      plan: null,
    };
  }

  snapshot(): RoomSnapshot {
    return this.snapshotNow;
  }

  holds(): readonly (SourceInfo | null)[] {
    return this.held;
  }

  stop(how: "now" | "tidy"): void {
    this.stops.push(how);
    if (this.obedient || how === "now") this.end({ name: "aborted", reason: "" });
  }

  change(update: TaskUpdate): Promise<void> {
    this.changes.push(update);
    return update.VideoSrc === "https://media.example.com/bad.mp4"
      ? Promise.reject(new RoomcastError("FailedOperation.SourceNotFound", "There is no such file."))
      : Promise.resolve();
  }

  at(positionMs: number): void {
    this.snapshotNow = { ...this.snapshotNow, positionMs };
  }

  end(outcome: RoomOutcome): void {
    this.#ended.resolve(outcome);
  }
}

interface Progress {
  found: ProgressRecord | null;
  /** The values with which records were closed. */
  closedWith: ProgressValues[];
  /** Sources whose record was opened. */
  opened: string[];
  /** Sources whose record was closed. */
  closed: string[];
  /** A promise that the opening of a record waits for. */
  hold: Promise<unknown> | undefined;
  read: (() => ProgressValues) | undefined;
}

export function newHost(options: { capacityUnits?: number; obedient?: boolean; redis?: Promise<unknown> } = {}) {
  const sessions: MemorySessionTask[] = [];
  const ended: WorkerFrameOf<"ended">[] = [];
  const lines: { ref: TaskRef; line: LogLine }[] = [];
  const progress: Progress = { found: null, closedWith: [], opened: [], closed: [], hold: undefined, read: undefined };
  const host = new TaskHost({
    capacityUnits: options.capacityUnits ?? 200,
    news: {
      addEnded: (frame) => void ended.push(frame),
      addLog: (ref, line) => void lines.push({ ref, line }),
    },
    createTaskLog: ({ onLine }) =>
      pino(
        { level: "info" },
        { write: (text) => onLine({ atMs: 0, level: "info", message: String(JSON.parse(text).msg) }) },
      ),
    parts: {
      openProgress: async ({ request: opened }) => {
        progress.opened.push(String(opened.VideoSrc));
        await options.redis;
        await progress.hold;
        return {
          found: progress.found,
          track: (read) => {
            progress.read = read;
          },
          close: async (last) => {
            progress.closed.push(String(opened.VideoSrc));
            progress.closedWith.push(last);
          },
        };
      },
      openSource: async () => source,
      createPublisher: () => {
        throw new Error("no session here asks for one");
      },
      enterRoom: (_seat, stay) => {
        const made = new MemorySessionTask(stay, options.obedient ?? true);
        sessions.push(made);
        return made;
      },
      untilConfirmed: async () => ({ holds: () => true }),
      defaults: DEFAULTS,
    },
  });
  return { host, sessions, ended, lines, progress };
}

// SAFETY: only `info` is read.
export const source = {
  info: {
    live: false,
    durationMs: 30_000,
    width: 1280,
    height: 720,
    fps: 30,
    plan: { video: "transcode", audio: "copy", reasons: ["B-frames"] },
  },
} as unknown as Source;

export async function started(sessions: MemorySessionTask[], index = 0): Promise<MemorySessionTask> {
  return await eventually(() => {
    const session = sessions[index];
    if (session === undefined) throw new Error(`session ${index} does not run`);
    return session;
  });
}

export function outcomesOf(ended: WorkerFrameOf<"ended">[]) {
  return ended.map(({ taskId, attempt, outcome }) => [taskId, attempt, outcome.name]);
}
