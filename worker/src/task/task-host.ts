import {
  type EdgeFrameOf,
  expectedUnits,
  type LogLine,
  type PushRequest,
  RoomcastError,
  seatKey,
  seatOf,
  type TaskRef,
  type TaskReport,
  type WorkerFrameOf,
} from "@roomcast/shared";
import type { Logger } from "pino";
import { settledWithin } from "../base/settled-within.ts";
import type { LinkedTasks } from "../link/edge-link.ts";
import { type EndIntent, type TaskEnd, type TaskParts, TaskRunner } from "./task-runner.ts";

type Dispatch = EdgeFrameOf<"dispatch">;

/** Receives the messages of the host for the edge. */
export interface TaskNews {
  addEnded(frame: WorkerFrameOf<"ended">): void;
  addLog(ref: TaskRef, line: LogLine): void;
}

export interface CreateTaskLogOptions {
  readonly ref: TaskRef;
  readonly request: PushRequest;
  readonly onLine: (line: LogLine) => void;
}

export interface TaskHostOptions {
  readonly capacityUnits: number;
  readonly parts: TaskParts;
  readonly news: TaskNews;
  readonly createTaskLog: (options: CreateTaskLogOptions) => Logger;
}

interface Held {
  readonly ref: TaskRef;
  /** The `seatKey` of its seat. */
  readonly seat: string;
  readonly runner: TaskRunner;
  /** Resolves once the end of the attempt has been reported. */
  readonly reported: Promise<void>;
}

/** The number of ended attempts that are remembered, so that a late or duplicate frame does not start them again. */
const MAX_REMEMBERED = 10_000;

/** All tasks of this process. Each accepted dispatch leads to exactly one `ended`. */
export class TaskHost implements LinkedTasks {
  readonly #options: TaskHostOptions;
  /** The newest attempt of each task, by task id. */
  readonly #current = new Map<string, Held>();
  /** All attempts that have not ended, including older ones that are being stopped. */
  readonly #held = new Set<Held>();
  /** The `ended` frame of the highest attempt that has ended, by task id, oldest first. */
  readonly #ended = new Map<string, WorkerFrameOf<"ended">>();
  #draining: string | undefined;

  constructor(options: TaskHostOptions) {
    this.#options = options;
  }

  get loadUnits(): number {
    return [...this.#held].reduce((sum, { runner }) => sum + runner.costUnits, 0);
  }

  get capacityUnits(): number {
    return this.#options.capacityUnits;
  }

  get draining(): boolean {
    return this.#draining !== undefined;
  }

  /** Reports of all tasks that run now. */
  get reports(): TaskReport[] {
    return [...this.#current.values()].map(({ runner }) => runner.report());
  }

  hello(): ReturnType<LinkedTasks["hello"]> {
    const { capacityUnits } = this.#options;
    return { capacityUnits, load: { units: this.loadUnits }, running: this.reports, draining: this.draining };
  }

  report(): ReturnType<LinkedTasks["report"]> {
    return { load: { units: this.loadUnits }, tasks: this.reports };
  }

  dispatch(frame: Dispatch): ReturnType<LinkedTasks["dispatch"]> {
    const { taskId, attempt } = frame;
    const refusal = this.#refusal(frame);
    if (refusal !== null) return { type: "refused", taskId, attempt, error: refusal.toBody() };
    const ended = this.#ended.get(taskId);
    if (ended?.attempt === attempt) {
      // This dispatch is a late duplicate, so the end is reported again, after this answer.
      queueMicrotask(() => this.#options.news.addEnded(ended));
    } else if (this.#current.get(taskId)?.ref.attempt !== attempt) {
      this.#start(frame);
    }
    return { type: "accepted", taskId, attempt };
  }

  stop(ref: TaskRef, how: "now" | "tidy", reason: string): void {
    const held = this.#current.get(ref.taskId);
    if (held?.ref.attempt === ref.attempt) held.runner.end({ name: "stop", how, reason });
  }

  release(ref: TaskRef): void {
    const held = this.#current.get(ref.taskId);
    if (held?.ref.attempt === ref.attempt) held.runner.end({ name: "release", how: "tidy" });
  }

  async update({ taskId, attempt, updateId, change }: EdgeFrameOf<"update">): Promise<WorkerFrameOf<"updated">> {
    const answer = { type: "updated", taskId, attempt, updateId } as const;
    const held = this.#current.get(taskId);
    if (held?.ref.attempt !== attempt) {
      const error = new RoomcastError("ResourceNotFound.Task", "This worker does not run that attempt of the task.");
      return { ...answer, error: error.toBody() };
    }
    try {
      await held.runner.change(change);
      return { ...answer, error: null };
    } catch (thrown) {
      return { ...answer, error: RoomcastError.from(thrown).toBody() };
    }
  }

  /**
   * Accepts no new tasks and releases every task, so that other workers continue them. Resolves when all tasks have
   * left their rooms. After the limit, the remaining tasks are stopped at once.
   */
  async drain(reason: string, limitMs: number): Promise<void> {
    this.#draining ??= reason;
    await this.#endAll({ name: "release", how: "tidy" }, limitMs);
    await this.#endAll({ name: "release", how: "now" }, Number.POSITIVE_INFINITY);
  }

  /** Releases every task at once. Resolves when all of them have ended. */
  async stopNow(reason: string): Promise<void> {
    this.#draining ??= reason;
    await this.#endAll({ name: "release", how: "now" }, Number.POSITIVE_INFINITY);
  }

  async #endAll(intent: EndIntent, limitMs: number): Promise<void> {
    const held = [...this.#held];
    for (const { runner } of held) runner.end(intent);
    const all = Promise.all(held.map(({ reported }) => reported));
    if (limitMs === Number.POSITIVE_INFINITY) await all;
    else await settledWithin(all, limitMs);
  }

  #refusal({ taskId, attempt, request }: Dispatch): RoomcastError | null {
    const current = this.#current.get(taskId);
    const newest = Math.max(current?.ref.attempt ?? 0, this.#ended.get(taskId)?.attempt ?? 0);
    if (attempt < newest) {
      return new RoomcastError("InvalidParameterValue", `Attempt ${attempt} is over: this worker has seen ${newest}.`);
    }
    if (attempt === newest) return null;
    if (this.#draining !== undefined) {
      return new RoomcastError("ResourceInsufficient", `This worker takes no new tasks: ${this.#draining}.`);
    }
    const { capacityUnits } = this.#options;
    // The cost of a task that the new one replaces is subtracted: an earlier attempt, or the task on the same seat.
    const replaced = current ?? this.#holderOf(seatKey(seatOf(request)));
    const loadUnits = this.loadUnits - (replaced?.runner.costUnits ?? 0);
    if (loadUnits + expectedUnits(null, request) <= capacityUnits) return null;
    return new RoomcastError(
      "ResourceInsufficient",
      `This worker is full: it carries ${Math.round(loadUnits)} of ${capacityUnits} units.`,
    );
  }

  #holderOf(seat: string): Held | undefined {
    return [...this.#current.values()].find((held) => held.seat === seat);
  }

  #start(frame: Dispatch): void {
    const { parts, news, createTaskLog } = this.#options;
    const ref = { taskId: frame.taskId, attempt: frame.attempt };
    const earlier = this.#current.get(frame.taskId);
    earlier?.runner.end({ name: "stop", how: "now", reason: "Replaced by a newer attempt of the same task." });
    const log = createTaskLog({ ref, request: frame.request, onLine: (line) => news.addLog(ref, line) });
    const runner = new TaskRunner({
      dispatch: frame,
      parts,
      log,
      ...(earlier === undefined ? {} : { after: earlier.reported }),
    });
    const seat = seatKey(seatOf(frame.request));
    const held: Held = { ref, seat, runner, reported: runner.done.then((end) => this.#reportEnd(held, end)) };
    this.#current.set(frame.taskId, held);
    this.#held.add(held);
  }

  #reportEnd(held: Held, { item, positionMs, outcome, skipped }: TaskEnd): void {
    const { taskId, attempt } = held.ref;
    this.#held.delete(held);
    if (this.#current.get(taskId) === held) this.#current.delete(taskId);
    const news = { item, positionMs, outcome, ...(skipped === undefined ? {} : { skipped }) };
    const ended = { type: "ended", taskId, attempt, ...news } as const;
    this.#remember(ended);
    this.#options.news.addEnded(ended);
  }

  #remember(ended: WorkerFrameOf<"ended">): void {
    const { taskId, attempt } = ended;
    const earlier = this.#ended.get(taskId);
    // The entry is deleted and set again, so that the map stays ordered by age.
    this.#ended.delete(taskId);
    this.#ended.set(taskId, earlier !== undefined && earlier.attempt > attempt ? earlier : ended);
    const oldest = this.#ended.keys().next().value;
    if (this.#ended.size > MAX_REMEMBERED && oldest !== undefined) this.#ended.delete(oldest);
  }
}
