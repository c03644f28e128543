import {
  type EdgeFrameOf,
  type Outcome,
  type PushRequest,
  RoomcastError,
  shownUrl,
  sourcesOf,
  type TaskReport,
  type TaskStateName,
  taskCost,
} from "@roomcast/shared";
import type { Logger } from "pino";
import type { ProgressValues } from "../progress/progress-record.ts";
import type { OpenProgressOptions, TaskProgress } from "../progress/progress-store.ts";
import type { Publisher } from "../publisher/publisher.ts";
import type { RoomOutcome, RoomSession, RoomSessionOptions, RoomSnapshot } from "../room/room-session.ts";
import type { Source, SourceInfo } from "../source/source.ts";
import { startPosition } from "./start-position.ts";

export interface OpenTaskSourceOptions {
  readonly request: PushRequest;
  readonly startAtMs: number;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

type Session = Pick<RoomSession, "run" | "snapshot" | "stop">;

/** The parts that a task is made of. */
export interface TaskParts {
  readonly openProgress: (options: OpenProgressOptions) => Promise<TaskProgress>;
  readonly openSource: (options: OpenTaskSourceOptions) => Promise<Source>;
  readonly createPublisher: (request: PushRequest, log: Logger) => Publisher;
  readonly createSession: (options: RoomSessionOptions) => Session;
}

export interface TaskRunnerOptions {
  readonly dispatch: Pick<EdgeFrameOf<"dispatch">, "taskId" | "attempt" | "request" | "resumeAtMs">;
  readonly parts: TaskParts;
  readonly log: Logger;
  /** Begins only after this: an earlier attempt of the same task that is still leaving the room. */
  readonly after?: Promise<unknown>;
}

/** Why a task is to end before its source does. */
export type EndIntent =
  | { readonly name: "stop"; readonly how: "now" | "tidy"; readonly reason: string }
  /** Given back, so that another worker goes on. */
  | { readonly name: "release"; readonly how: "now" | "tidy" };

export interface TaskEnd {
  readonly positionMs: number;
  readonly outcome: Outcome;
}

const COPY_UNITS = taskCost({ video: "copy" });
const DEFAULT_FPS = 30;

/** One attempt at one task, from its dispatch to its end. */
export class TaskRunner {
  readonly #options: TaskRunnerOptions;
  readonly #ending = new AbortController();
  readonly #done: Promise<TaskEnd>;
  #intent: EndIntent | undefined;
  #session: Session | undefined;
  #startAtMs: number;
  #costUnits = COPY_UNITS;

  /** Starts at once. */
  constructor(options: TaskRunnerOptions) {
    this.#options = options;
    this.#startAtMs = options.dispatch.resumeAtMs ?? 0;
    this.#done = this.#run();
  }

  /** Resolves when everything that the task owned has ended; never rejects. */
  get done(): Promise<TaskEnd> {
    return this.#done;
  }

  /** What it takes of this worker; until its source is open, what a copied stream takes. */
  get costUnits(): number {
    return this.#costUnits;
  }

  report(): TaskReport {
    const { taskId, attempt } = this.#options.dispatch;
    return { taskId, attempt, item: 0, ...this.#snapshot() };
  }

  /** Ends it early. The first reason counts; a later call may still hurry a tidy end. */
  end(intent: EndIntent): void {
    this.#intent ??= intent;
    this.#ending.abort();
    this.#session?.stop(intent.how);
  }

  async #run(): Promise<TaskEnd> {
    const { log } = this.#options;
    try {
      await this.#options.after;
      const end = await this.#play();
      log.info({ outcome: end.outcome.name, positionMs: Math.round(end.positionMs) }, "task ended");
      return end;
    } catch (thrown) {
      const error = RoomcastError.from(thrown);
      log.error({ err: error }, "task failed");
      return { positionMs: this.#snapshot().positionMs, outcome: { name: "failed", error: error.toBody() } };
    }
  }

  async #play(): Promise<TaskEnd> {
    const { dispatch, parts, log } = this.#options;
    const { taskId, attempt, request, resumeAtMs } = dispatch;
    const live = request.Mode === "live";
    log.info(
      { source: sourcesOf(request).map(shownUrl).join(", "), mode: request.Mode, redis: request.Redis },
      "task starts",
    );
    const opening = request.Redis ? parts.openProgress({ taskId, attempt, request, log }) : null;
    const progress = await this.#unlessEnding(opening);
    if (progress === "ending") return this.#endedEarly();
    this.#startAtMs = startPosition({ live, taskId, resumeAtMs, found: progress?.found ?? null });
    if (this.#startAtMs > 0) log.info({ positionMs: this.#startAtMs }, "resuming an earlier push");
    let end: TaskEnd | undefined;
    try {
      const session = this.#createSession(live);
      progress?.track(() => this.#snapshot());
      const outcome = this.#intent === undefined ? await session.run() : ({ name: "aborted" } as const);
      end = { positionMs: session.snapshot().positionMs, outcome: this.#outcomeOf(outcome) };
    } finally {
      await progress?.close(this.#lastValues(end));
    }
    return end;
  }

  #createSession(live: boolean): Session {
    const { dispatch, parts, log } = this.#options;
    const { request } = dispatch;
    const session = parts.createSession({
      openSource: async (startAtMs, signal) => {
        const source = await parts.openSource({ request, startAtMs, signal, log });
        this.#costUnits = costOf(source.info);
        return source;
      },
      createPublisher: () => parts.createPublisher(request, log),
      startAtMs: this.#startAtMs,
      live,
      log,
      onState: (state) => log.info({ state }, "state changed"),
    });
    this.#session = session;
    return session;
  }

  /** Redis may take its time to answer; a task that shall end does not wait for it. */
  async #unlessEnding(opening: Promise<TaskProgress> | null): Promise<TaskProgress | null | "ending"> {
    const { signal } = this.#ending;
    const aborted = Promise.withResolvers<"ending">();
    const onAbort = (): void => aborted.resolve("ending");
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    try {
      const first = await Promise.race([aborted.promise, opening]);
      // What opens later has nobody to use it.
      if (first === "ending")
        void opening?.then(
          (late) => late.close(this.#lastValues(undefined)),
          () => {},
        );
      return first;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #endedEarly(): TaskEnd {
    return { positionMs: this.#startAtMs, outcome: this.#outcomeOf({ name: "aborted" }) };
  }

  #outcomeOf(outcome: RoomOutcome): Outcome {
    if (outcome.name === "finished") return { name: "finished" };
    if (outcome.name === "failed") return { name: "failed", error: outcome.error.toBody() };
    return this.#intent?.name === "release"
      ? { name: "released" }
      : { name: "aborted", reason: this.#intent?.reason ?? "The session was stopped." };
  }

  #snapshot(): RoomSnapshot {
    return (
      this.#session?.snapshot() ?? {
        state: "starting",
        positionMs: this.#startAtMs,
        durationMs: null,
        bitRateKbps: 0,
        fps: 0,
        droppedFrames: 0,
        plan: null,
      }
    );
  }

  #lastValues(end: TaskEnd | undefined): ProgressValues {
    const { positionMs, durationMs } = this.#snapshot();
    return { positionMs, durationMs, state: lastState(end) };
  }
}

function lastState(end: TaskEnd | undefined): TaskStateName {
  if (end === undefined) return "failed";
  return end.outcome.name === "released" ? "queued" : end.outcome.name;
}

function costOf(info: SourceInfo): number {
  return info.plan.video === "copy"
    ? COPY_UNITS
    : taskCost({ video: "transcode", pixelsPerSecond: info.width * info.height * (info.fps ?? DEFAULT_FPS) });
}
