import { answerInTime } from "../../base/answer-in-time.ts";
import type { Env } from "../../contracts/env.ts";
import type { AcceptedTasks, WaitingTask } from "./accepted-tasks.ts";
import { BURST, creationPace, MAX_WAIT_MS } from "./creation-pace.ts";

const RETRY_MS = 1000;
/** A pause of this length in the accepts ends a burst. */
const CALM_MS = 1000;
/** An object that takes longer does not delay the others; it is asked again later. */
const ANSWER_TIMEOUT_MS = 15_000;

export interface TaskObjectCreatorOptions {
  readonly env: Env;
  readonly accepted: AcceptedTasks;
  /** Writes what was accepted, up to this one, into the tables that are searched. */
  readonly file: (upToSeq: number) => void;
  /** How long an object may take to answer. */
  readonly answerTimeoutMs?: number;
}

/** Creates the Task objects of accepted tasks. Creating one twice changes nothing. */
export class TaskObjectCreator {
  readonly #env: Env;
  readonly #accepted: AcceptedTasks;
  readonly #file: TaskObjectCreatorOptions["file"];
  readonly #answerTimeoutMs: number;
  #running: Promise<void> | undefined;
  readonly #making = new Map<string, Promise<void>>();
  #lastTookMs = 0;
  /** When the last few were accepted, the newest last, Unix ms. */
  #acceptedAtMs: number[] = [];
  #catchingUp = false;

  constructor({ env, accepted, file, answerTimeoutMs = ANSWER_TIMEOUT_MS }: TaskObjectCreatorOptions) {
    this.#env = env;
    this.#accepted = accepted;
    this.#file = file;
    this.#answerTimeoutMs = answerTimeoutMs;
  }

  /** Tasks were accepted: many within a short time delay the creation of objects. */
  noteAccepted(count: number, atMs: number): void {
    if (atMs - (this.#acceptedAtMs.at(-1) ?? atMs) >= CALM_MS) this.#catchingUp = false;
    this.#acceptedAtMs = [...this.#acceptedAtMs, ...Array<number>(Math.min(count, BURST)).fill(atMs)].slice(-BURST);
  }

  /** Creates all objects that wait; resolves when only those are left that did not answer. Never rejects. */
  run(): Promise<void> {
    this.#running ??= this.#runAll();
    return this.#running;
  }

  /** Creates the object of one task now, if it waits, after those of the older tasks of its seat. */
  async now(taskId: string): Promise<void> {
    const wanted = this.#accepted.get(taskId);
    if (wanted === undefined) return;
    this.#file(wanted.seq);
    await this.#inTurn(this.#accepted.ofSeat(wanted.seatKey).filter(({ seq }) => seq <= wanted.seq));
  }

  async #runAll(): Promise<void> {
    // `run` must have noted that it runs before this continues.
    await Promise.resolve();
    try {
      await this.#untilNoneWaits();
    } catch (thrown) {
      // The alarm tries again with what is left.
      console.error("tasks not handed over", { thrown: String(thrown) });
      this.#running = undefined;
    }
  }

  async #untilNoneWaits(): Promise<void> {
    const failed = new Map<string, number>();
    for (;;) {
      const [oldest] = this.#ready(failed, 1);
      if (oldest === undefined) {
        // In the same step in which nothing was left, because the next accept must not rely on this run.
        this.#running = undefined;
        return;
      }
      const nowMs = Date.now();
      if (nowMs - oldest.atMs >= MAX_WAIT_MS) this.#catchingUp = true;
      const { pauseMs, count, inBurst } = creationPace({
        waiting: this.#accepted.size,
        quietMs: nowMs - (this.#acceptedAtMs.at(-1) ?? Number.NEGATIVE_INFINITY),
        burstMs: nowMs - (this.#acceptedAtMs.at(-BURST) ?? Number.NEGATIVE_INFINITY),
        lastTookMs: this.#lastTookMs,
        catchingUp: this.#catchingUp,
      });
      if (pauseMs > 0) await scheduler.wait(pauseMs);
      const tasks = this.#ready(failed, count);
      // A burst defers filing as well.
      this.#file(inBurst ? Math.max(0, ...tasks.map(({ seq }) => seq)) : Number.POSITIVE_INFINITY);
      await this.#createAll(tasks, failed);
    }
  }

  /** Returns the oldest waiting tasks, except those of seats whose last object did not answer a moment ago. */
  #ready(failed: ReadonlyMap<string, number>, count: number): WaitingTask[] {
    const nowMs = Date.now();
    const ready: WaitingTask[] = [];
    for (const waiting of this.#accepted) {
      if (ready.length === count) break;
      if (nowMs >= (failed.get(waiting.seatKey) ?? 0)) ready.push(waiting);
    }
    return ready;
  }

  /** @param failed until when the tasks of each seat are left waiting, Unix ms */
  async #createAll(tasks: readonly WaitingTask[], failed: Map<string, number>): Promise<void> {
    const startedAtMs = Date.now();
    const seats = Map.groupBy(tasks, ({ seatKey }) => seatKey);
    await Promise.all(
      [...seats].map(async ([seatKey, inTurn]) => {
        try {
          await this.#inTurn(inTurn);
        } catch (thrown) {
          failed.set(seatKey, Date.now() + RETRY_MS);
          console.error("task not handed over", { thrown: String(thrown) });
        }
      }),
    );
    this.#lastTookMs = Date.now() - startedAtMs;
  }

  /** In order, because the next task of a seat asks the one before to give way, and that one must exist by then. */
  async #inTurn(tasks: readonly WaitingTask[]): Promise<void> {
    for (const waiting of tasks) await this.#make(waiting);
  }

  /** Calls for an object that is already being created share one creation. */
  #make(waiting: WaitingTask): Promise<void> {
    const { taskId } = waiting;
    if (this.#accepted.get(taskId) === undefined) return Promise.resolve();
    const making = this.#making.get(taskId) ?? this.#create(waiting).finally(() => this.#making.delete(taskId));
    this.#making.set(taskId, making);
    return making;
  }

  async #create(waiting: WaitingTask): Promise<void> {
    const { taskId, region, atMs, replaces, elsewhere } = waiting;
    const { request, sealedRequest, callbacks } = this.#accepted.pushOf(waiting);
    const successor = this.#successorOf(waiting);
    const others = elsewhere === undefined ? {} : { elsewhere };
    const task = { taskId, region, request, sealedRequest, replaces, successor, ...others };
    await answerInTime(this.#env.TASK.getByName(taskId).create(task, atMs, callbacks), this.#answerTimeoutMs);
    // Only now, so that after a crash the creation is tried again.
    this.#accepted.remove(taskId);
  }

  /**
   * Returns the newest accepted task for this seat that is already due. Older ones are created as superseded and never
   * placed. A task with a future StartAt does not supersede another one until then.
   */
  #successorOf({ seatKey, seq }: WaitingTask): string | null {
    const nowMs = Date.now();
    const newer = this.#accepted.ofSeat(seatKey).findLast((other) => other.seq > seq && other.startsAtMs <= nowMs);
    return newer?.taskId ?? null;
  }
}
