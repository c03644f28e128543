import { answerInTime } from "../../base/answer-in-time.ts";
import type { Env } from "../../contracts/env.ts";
import type { AcceptedTasks, WaitingTask } from "./accepted-tasks.ts";
import { BURST, creationPace, MAX_WAIT_MS } from "./creation-pace.ts";

const RETRY_MS = 1000;
/** A pause of pushes for so long ends whatever went on before it. */
const CALM_MS = 1000;
/** An object that takes longer keeps no other one waiting; it is asked again later. */
const ANSWER_TIMEOUT_MS = 15_000;

export interface TaskObjectCreatorOptions {
  readonly env: Env;
  readonly accepted: AcceptedTasks;
  /** Writes what was accepted, up to this one, into the tables that are searched. */
  readonly file: (upToSeq: number) => void;
  /** How long an object may take. */
  readonly answerTimeoutMs?: number;
}

/** Gives accepted tasks to their Task objects. Giving one twice changes nothing. */
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

  /** Tasks were accepted: many within a short time make the handing over wait. */
  noteAccepted(count: number, atMs: number): void {
    if (atMs - (this.#acceptedAtMs.at(-1) ?? atMs) >= CALM_MS) this.#catchingUp = false;
    this.#acceptedAtMs = [...this.#acceptedAtMs, ...Array<number>(Math.min(count, BURST)).fill(atMs)].slice(-BURST);
  }

  /** Hands over all that wait; resolves when none is left but those whose objects did not answer. Never rejects. */
  run(): Promise<void> {
    this.#running ??= this.#runAll();
    return this.#running;
  }

  /** Hands over one task now, if it waits here, after those that came before it for its seat. */
  async now(taskId: string): Promise<void> {
    const wanted = this.#accepted.get(taskId);
    if (wanted === undefined) return;
    this.#file(wanted.seq);
    await this.#inTurn(this.#accepted.ofSeat(wanted.seatKey).filter(({ seq }) => seq <= wanted.seq));
  }

  async #runAll(): Promise<void> {
    // Not before `run` has noted that it runs.
    await Promise.resolve();
    try {
      await this.#untilNoneWaits();
    } catch (thrown) {
      // The alarm comes back to what is left.
      console.error("tasks not handed over", { thrown: String(thrown) });
      this.#running = undefined;
    }
  }

  async #untilNoneWaits(): Promise<void> {
    const failed = new Map<string, number>();
    for (;;) {
      const [oldest] = this.#ready(failed, 1);
      if (oldest === undefined) {
        // In the same step in which none was left: what is accepted next must not rely on this run.
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
      // Filing is put off in a burst as well.
      this.#file(inBurst ? Math.max(0, ...tasks.map(({ seq }) => seq)) : Number.POSITIVE_INFINITY);
      await this.#createAll(tasks, failed);
    }
  }

  /** The oldest, without those whose seat has a task whose object has not answered just now. */
  #ready(failed: ReadonlyMap<string, number>, count: number): WaitingTask[] {
    const nowMs = Date.now();
    const ready: WaitingTask[] = [];
    for (const waiting of this.#accepted) {
      if (ready.length === count) break;
      if (nowMs >= (failed.get(waiting.seatKey) ?? 0)) ready.push(waiting);
    }
    return ready;
  }

  /** @param failed until when each seat's tasks are left alone, Unix ms */
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

  /** The next task of a seat asks the one before to give way, which must be there by then. */
  async #inTurn(tasks: readonly WaitingTask[]): Promise<void> {
    for (const waiting of tasks) await this.#make(waiting);
  }

  /** Who asks for an object that is being made already waits for it. */
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
    // Only now: what is still here after a crash is handed over again.
    this.#accepted.remove(taskId);
  }

  /**
   * The newest task that is to take the seat now: of many for one seat only the last ones are ever looked a place for.
   * It is written down and will be made. One that starts later leaves the seat to others until then.
   */
  #successorOf({ seatKey, seq }: WaitingTask): string | null {
    const nowMs = Date.now();
    const newer = this.#accepted.ofSeat(seatKey).findLast((other) => other.seq > seq && other.startsAtMs <= nowMs);
    return newer?.taskId ?? null;
  }
}
