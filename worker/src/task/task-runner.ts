import {
  type EdgeFrameOf,
  type Outcome,
  type PushRequest,
  RoomcastError,
  type Seat,
  type SkippedItems,
  seatOf,
  shownUrl,
  sourcesOf,
  type TaskRef,
  type TaskReport,
  type TaskStateName,
  type TaskUpdate,
} from "@roomcast/shared";
import type { Logger } from "pino";
import type { Confirmation } from "../link/confirmations.ts";
import type { SourceRequest } from "../player/prepared-source.ts";
import type { Publisher } from "../publisher/publisher.ts";
import type { ProgressValues } from "../redis-progress/progress-record.ts";
import type { OpenProgressOptions, TaskProgress } from "../redis-progress/progress-store.ts";
import type { RoomOutcome, RoomSnapshot, SessionTask, SessionTaskOptions } from "../seat/session-task.ts";
import type { Source } from "../source/source.ts";
import { loadUnits } from "./load-units.ts";
import { logEnd } from "./log-end.ts";
import { type SessionTaskDefaults, sessionTaskOptions } from "./session-task-options.ts";
import { type StartPosition, startPosition } from "./start-position.ts";

export interface OpenTaskSourceOptions {
  readonly request: PushRequest;
  /** The source to open and its settings. */
  readonly source: SourceRequest;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** The dependencies of a task. */
export interface TaskParts {
  readonly openProgress: (options: OpenProgressOptions) => Promise<TaskProgress>;
  readonly openSource: (options: OpenTaskSourceOptions) => Promise<Source>;
  readonly createPublisher: (request: PushRequest, log: Logger) => Publisher;
  readonly enterRoom: (seat: Seat, options: SessionTaskOptions) => SessionTask;
  /** Resolves when the edge has confirmed that this attempt holds its task. */
  readonly untilConfirmed: (ref: TaskRef, signal: AbortSignal) => Promise<Confirmation>;
  readonly defaults: SessionTaskDefaults;
}

export interface TaskRunnerOptions {
  readonly dispatch: Pick<
    EdgeFrameOf<"dispatch">,
    "taskId" | "attempt" | "request" | "resumeAtMs" | "resumeItem" | "resumeSeenAtMs" | "paused"
  >;
  readonly parts: TaskParts;
  readonly log: Logger;
  /**
   * The promise that the task waits for before it starts: an earlier attempt of the same task may still be leaving the
   * room.
   */
  readonly after?: Promise<unknown>;
}

/** The reason for ending a task before its source ends. */
export type EndIntent =
  | { readonly name: "stop"; readonly how: "now" | "tidy"; readonly reason: string }
  /** The task is released, so that another worker continues it. */
  | { readonly name: "release"; readonly how: "now" | "tidy" };

export interface TaskEnd extends StartPosition {
  readonly outcome: Outcome;
  readonly skipped?: SkippedItems;
}

/** One attempt at one task, from its dispatch to its end. */
export class TaskRunner {
  readonly #options: TaskRunnerOptions;
  readonly #ending = new AbortController();
  readonly #done: Promise<TaskEnd>;
  #intent: EndIntent | undefined;
  #sessionTask: SessionTask | undefined;
  #progress: TaskProgress | undefined;
  #startAt: StartPosition;
  /** The final progress values. */
  #last: ProgressValues | undefined;
  /** The error that the task failed with, including its cause. */
  #cause: RoomcastError | undefined;
  /**
   * Resolves when the progress records of earlier changes of source are open or closed. The changes run one after
   * another, so that each record is closed.
   */
  #following: Promise<void> = Promise.resolve();

  /** Starts the task at once. */
  constructor(options: TaskRunnerOptions) {
    this.#options = options;
    this.#startAt = resumedAt(options.dispatch) ?? { item: 0, positionMs: 0 };
    this.#done = this.#run();
  }

  /** Resolves when everything that the task owned has ended; never rejects. */
  get done(): Promise<TaskEnd> {
    return this.#done;
  }

  /** The units of this worker's capacity that the task uses. */
  get costUnits(): number {
    return loadUnits(this.#sessionTask?.holds() ?? [null], this.#options.dispatch.request);
  }

  report(): TaskReport {
    const { taskId, attempt } = this.#options.dispatch;
    return { taskId, attempt, ...this.#snapshot() };
  }

  /**
   * Ends the task early. The reason of the first call is reported. A later call may turn a tidy end into an immediate
   * one.
   */
  end(intent: EndIntent): void {
    this.#intent ??= intent;
    this.#ending.abort();
    this.#sessionTask?.stop(intent.how);
  }

  /**
   * Changes what is played. Resolves when the room sees the change.
   *
   * @throws RoomcastError if the change failed. Playback then continues unchanged.
   */
  async change(update: TaskUpdate): Promise<void> {
    if (this.#sessionTask === undefined) {
      throw new RoomcastError("ResourceInsufficient", "The push is about to start: make the change in a moment.");
    }
    const before = this.#values("aborted");
    await this.#sessionTask.change(update);
    const { VideoSrc } = update;
    if (VideoSrc === undefined || !this.#options.dispatch.request.Redis) return;
    this.#following = this.#following.then(() => this.#follow(VideoSrc, before));
    await this.#following;
  }

  async #run(): Promise<TaskEnd> {
    const { log } = this.#options;
    try {
      await this.#options.after;
      const end = await this.#play();
      logEnd(log, end, this.#cause);
      return end;
    } catch (thrown) {
      const error = RoomcastError.from(thrown);
      log.error({ err: error }, "task failed");
      return { ...this.#place(), outcome: { name: "failed", error: error.toBody() } };
    }
  }

  async #play(): Promise<TaskEnd> {
    const { dispatch, log } = this.#options;
    const { taskId, attempt, request } = dispatch;
    log.info(
      { source: sourcesOf(request).map(shownUrl).join(", "), mode: request.Mode, redis: request.Redis },
      "task starts",
    );
    const opening = request.Redis ? this.#openProgress(request) : null;
    const progress = await this.#unlessEnding(opening);
    if (progress === "ending") return this.#endedEarly();
    this.#startAt = startPosition({
      live: request.Mode === "live",
      taskId,
      resumeAt: resumedAt(dispatch),
      seenAtMs: dispatch.resumeSeenAtMs,
      found: progress?.found ?? null,
      seekMs: (request.SeekSecond ?? 0) * 1000,
    });
    if (this.#startAt.item > 0 || this.#startAt.positionMs > 0)
      log.info({ ...this.#startAt }, "starting at a position");
    let end: TaskEnd | undefined;
    try {
      this.#progress = progress ?? undefined;
      progress?.track(() => this.#values());
      const outcome: RoomOutcome =
        this.#intent === undefined ? await this.#enterRoom({ taskId, attempt }).done : { name: "aborted", reason: "" };
      this.#cause = outcome.name === "failed" ? outcome.error : undefined;
      const { skipped } = this.#snapshot();
      end = { ...this.#place(), outcome: this.#outcomeOf(outcome), ...(skipped === undefined ? {} : { skipped }) };
    } finally {
      this.#last = this.#values(end === undefined ? "failed" : lastState(end));
      // A record that is still being opened is not awaited.
      this.#ending.abort();
      await this.#following;
      await this.#progress?.close(this.#last);
    }
    return end;
  }

  #enterRoom(ref: TaskRef): SessionTask {
    const { dispatch, parts, log } = this.#options;
    const { request } = dispatch;
    const clock = { unixMs: Date.now(), playerMs: performance.now() };
    this.#sessionTask = parts.enterRoom(seatOf(request), {
      ...sessionTaskOptions(request, parts.defaults, clock),
      taskId: ref.taskId,
      open: (source, signal) => parts.openSource({ request, source, signal, log }),
      createPublisher: () => parts.createPublisher(request, log),
      untilConfirmed: (signal) => parts.untilConfirmed(ref, signal),
      startAt: this.#startAt,
      paused: dispatch.paused ?? false,
      log,
      onState: (state) => log.info({ state }, "state changed"),
    });
    return this.#sessionTask;
  }

  /**
   * Closes the record of the old source at its last position and opens that of the new source, because each source has
   * its own record.
   */
  async #follow(videoSrc: string, before: ProgressValues): Promise<void> {
    const { dispatch, log } = this.#options;
    const old = this.#progress;
    // If an earlier record could not be opened, nothing more is recorded. Playback does not depend on records.
    if (old === undefined) return;
    try {
      const opened = await this.#unlessEnding(this.#openProgress({ ...dispatch.request, VideoSrc: videoSrc }));
      this.#progress = opened === "ending" || opened === null ? undefined : opened;
      this.#progress?.track(() => this.#values());
    } catch (thrown) {
      // The push continues without a record, because playback does not depend on Redis once the push runs.
      this.#progress = undefined;
      log.warn({ err: thrown }, "the progress of the new source is not recorded");
    }
    await old.close(before);
  }

  #openProgress(request: PushRequest): Promise<TaskProgress> {
    const { dispatch, parts, log } = this.#options;
    return parts.openProgress({ taskId: dispatch.taskId, attempt: dispatch.attempt, request, log });
  }

  /** Waits for the record unless the task is ending, because Redis may be slow to answer. */
  async #unlessEnding(opening: Promise<TaskProgress> | null): Promise<TaskProgress | null | "ending"> {
    const { signal } = this.#ending;
    const aborted = Promise.withResolvers<"ending">();
    const onAbort = (): void => aborted.resolve("ending");
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    try {
      const first = await Promise.race([aborted.promise, opening]);
      // A record that opens later is not used and is closed.
      if (first === "ending")
        void opening?.then(
          (late) => late.close(this.#last ?? this.#values("failed")),
          () => {},
        );
      return first;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #endedEarly(): TaskEnd {
    return { ...this.#startAt, outcome: this.#outcomeOf({ name: "aborted", reason: "" }) };
  }

  #outcomeOf(outcome: RoomOutcome): Outcome {
    if (outcome.name === "finished") return { name: "finished" };
    if (outcome.name === "failed") return { name: "failed", error: outcome.error.toBody() };
    if (outcome.name === "replaced") return { name: "aborted", reason: `replaced by ${outcome.byTaskId}` };
    if (this.#intent?.name === "release") return { name: "released" };
    return { name: "aborted", reason: this.#intent?.reason ?? outcome.reason };
  }

  #place(): StartPosition {
    const { item, positionMs } = this.#snapshot();
    return { item, positionMs };
  }

  #snapshot(): RoomSnapshot {
    return (
      this.#sessionTask?.snapshot() ?? {
        ...this.#startAt,
        state: "starting",
        durationMs: null,
        bitRateKbps: 0,
        fps: 0,
        droppedFrames: 0,
        plan: null,
      }
    );
  }

  /** @param last the final state, if the task has ended */
  #values(last?: TaskStateName): ProgressValues {
    const { item, positionMs, durationMs, state } = this.#snapshot();
    return { item, positionMs, durationMs, state: last ?? state };
  }
}

function lastState({ outcome }: TaskEnd): TaskStateName {
  return outcome.name === "released" ? "queued" : outcome.name;
}

function resumedAt({ resumeAtMs, resumeItem }: TaskRunnerOptions["dispatch"]): StartPosition | null {
  return resumeAtMs === null ? null : { item: resumeItem ?? 0, positionMs: resumeAtMs };
}
