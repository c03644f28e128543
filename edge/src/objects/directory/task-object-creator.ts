import { answerInTime } from "../../base/answer-in-time.ts";
import type { Env } from "../../contracts/env.ts";
import type { AcceptedTasks, WaitingTask } from "./accepted-tasks.ts";
import { BURST, creationPace, MAX_WAIT_MS } from "./creation-pace.ts";

const RETRY_MS = 1000;
/** A pause of this length in the accepts ends a burst. */
const CALM_MS = 1000;
/** The time after which an object that has not answered no longer delays the others. It is asked again later. */
const ANSWER_TIMEOUT_MS = 15_000;

export interface TaskObjectCreatorOptions {
  readonly env: Env;
  readonly accepted: AcceptedTasks;
  /** Writes the accepted tasks, up to this sequence number, into the tables that are searched. */
  readonly file: (upToSeq: number) => void;
  /** The time that an object may take to answer, ms. */
  readonly answerTimeoutMs?: number;
}

/** Creates the Task objects of accepted tasks. Creating an object twice changes nothing. */
export class TaskObjectCreator {
  readonly #env: Env;
  readonly #accepted: AcceptedTasks;
  readonly #file: TaskObjectCreatorOptions["file"];
  readonly #answerTimeoutMs: number;
  #running: Promise<void> | undefined;
  readonly #making = new Map<string, Promise<void>>();
  #lastTookMs = 0;
  /** The times at which the last few tasks were accepted, the newest last, Unix ms. */
  #acceptedAtMs: number[] = [];
  #catchingUp = false;

  constructor({ env, accepted, file, answerTimeoutMs = ANSWER_TIMEOUT_MS }: TaskObjectCreatorOptions) {
    this.#env = env;
    this.#accepted = accepted;
    this.#file = file;
    this.#answerTimeoutMs = answerTimeoutMs;
  }

  /** Records that tasks were accepted. Many accepts within a short time delay the creation of objects. */
  noteAccepted(count: number, atMs: number): void {
    if (atMs - (this.#acceptedAtMs.at(-1) ?? atMs) >= CALM_MS) this.#catchingUp = false;
    this.#acceptedAtMs = [...this.#acceptedAtMs, ...Array<number>(Math.min(count, BURST)).fill(atMs)].slice(-BURST);
  }

  /**
   * Creates the objects of all waiting tasks. Resolves when only tasks are left whose objects did not answer. Never
   * rejects.
   */
  run(): Promise<void> {
    this.#running ??= this.#runAll();
    return this.#running;
  }

  /**
   * Creates the object of a task now if the task still waits for it. The objects of older tasks of the same seat are
   * created before it.
   */
  async now(taskId: string): Promise<void> {
    const wanted = this.#accepted.get(taskId);
    if (wanted === undefined) return;
    this.#file(wanted.seq);
    await this.#inTurn(this.#accepted.ofSeat(wanted.seatKey).filter(({ seq }) => seq <= wanted.seq));
  }

  async #runAll(): Promise<void> {
    // `run` must have stored this promise before the work begins, because the work removes it at its end.
    await Promise.resolve();
    try {
      await this.#untilNoneWaits();
    } catch (thrown) {
      // The alarm tries again with the tasks that are left.
      console.error("tasks not handed over", { thrown: String(thrown) });
      this.#running = undefined;
    }
  }

  async #untilNoneWaits(): Promise<void> {
    const failed = new Map<string, number>();
    for (;;) {
      const [oldest] = this.#ready(failed, 1);
      if (oldest === undefined) {
        // The promise is removed in the step that found no more tasks, because the next accept must start a new run.
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
      // A burst also defers the filing of tasks whose objects are not created yet.
      this.#file(inBurst ? Math.max(0, ...tasks.map(({ seq }) => seq)) : Number.POSITIVE_INFINITY);
      await this.#createAll(tasks, failed);
    }
  }

  /** Returns the oldest waiting tasks, except those of seats for which an object has just failed to answer. */
  #ready(failed: ReadonlyMap<string, number>, count: number): WaitingTask[] {
    const nowMs = Date.now();
    const ready: WaitingTask[] = [];
    for (const waiting of this.#accepted) {
      if (ready.length === count) break;
      if (nowMs >= (failed.get(waiting.seatKey) ?? 0)) ready.push(waiting);
    }
    return ready;
  }

  /**
   * Creates the objects of these tasks, those of different seats at the same time.
   *
   * @param failed the times until which the tasks of seats are left waiting, by the seats' keys, Unix ms
   */
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

  /**
   * Creates the objects in order, because the next task of a seat asks the task before it to give way, and that task
   * must have its object by then.
   */
  async #inTurn(tasks: readonly WaitingTask[]): Promise<void> {
    for (const waiting of tasks) await this.#make(waiting);
  }

  /**
   * Creates the object of a task that still waits for it. Calls for an object that is already being created share one
   * creation.
   */
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
    // The task is removed only after its object was created, so that after a crash the creation is tried again.
    this.#accepted.remove(taskId);
  }

  /**
   * Returns the newest waiting task of this task's seat that came after this task and is already due; null if there is
   * no such task. This task is then created as replaced, and is never placed. A task that starts later does not replace
   * another one before its time.
   */
  #successorOf({ seatKey, seq }: WaitingTask): string | null {
    const nowMs = Date.now();
    const newer = this.#accepted.ofSeat(seatKey).findLast((other) => other.seq > seq && other.startsAtMs <= nowMs);
    return newer?.taskId ?? null;
  }
}
