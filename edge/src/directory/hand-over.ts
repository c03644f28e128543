import type { Env } from "../env.ts";
import type { AcceptedTasks, WaitingTask } from "./accepted-tasks.ts";
import { BURST, handOverPace } from "./hand-over-pace.ts";

export interface HandOverOptions {
  readonly env: Env;
  readonly accepted: AcceptedTasks;
  /** Writes what was accepted, up to this one, into the tables that are searched. */
  readonly file: (upToSeq: number) => void;
}

/** Gives accepted tasks to their Task objects. Giving one twice changes nothing. */
export class HandOver {
  readonly #env: Env;
  readonly #accepted: AcceptedTasks;
  readonly #file: HandOverOptions["file"];
  #running: Promise<void> | undefined;
  #lastTookMs = 0;
  /** When the last few were accepted, the newest last, Unix ms. */
  #acceptedAtMs: number[] = [];

  constructor({ env, accepted, file }: HandOverOptions) {
    this.#env = env;
    this.#accepted = accepted;
    this.#file = file;
  }

  /** Tasks were accepted: many within a short time make the handing over wait. */
  noteAccepted(count: number, atMs: number): void {
    this.#acceptedAtMs = [...this.#acceptedAtMs, ...Array<number>(Math.min(count, BURST)).fill(atMs)].slice(-BURST);
  }

  /** Hands over all that wait; resolves when none is left but those whose objects did not answer. Never rejects. */
  run(): Promise<void> {
    this.#running ??= this.#runAll()
      // The alarm comes back to what is left.
      .catch((thrown: unknown) => console.error("tasks not handed over", { thrown: String(thrown) }))
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  /** Hands over one task now, if it waits here, after those that came before it for its seat. */
  async now(taskId: string): Promise<void> {
    const wanted = this.#accepted.get(taskId);
    if (wanted === undefined) return;
    this.#file(wanted.seq);
    await this.#inTurn(
      [...this.#accepted].filter(({ seatKey, seq }) => seatKey === wanted.seatKey && seq <= wanted.seq),
    );
  }

  async #runAll(): Promise<void> {
    const failed = new Set<string>();
    for (;;) {
      const [oldest] = this.#ready(failed, 1);
      if (oldest === undefined) return;
      const nowMs = Date.now();
      const { pauseMs, count } = handOverPace({
        waiting: this.#accepted.size,
        oldestMs: nowMs - oldest.atMs,
        quietMs: nowMs - (this.#acceptedAtMs.at(-1) ?? Number.NEGATIVE_INFINITY),
        burstMs: nowMs - (this.#acceptedAtMs.at(-BURST) ?? Number.NEGATIVE_INFINITY),
        lastTookMs: this.#lastTookMs,
      });
      if (pauseMs > 0) await scheduler.wait(pauseMs);
      const tasks = this.#ready(failed, count);
      // Filing is put off in a burst as well.
      this.#file(pauseMs > 0 ? Math.max(0, ...tasks.map(({ seq }) => seq)) : Number.POSITIVE_INFINITY);
      await this.#handOver(tasks, failed);
    }
  }

  /** The oldest, without those whose seat has a task whose object does not answer. */
  #ready(failed: ReadonlySet<string>, count: number): WaitingTask[] {
    const ready: WaitingTask[] = [];
    for (const waiting of this.#accepted) {
      if (ready.length === count) break;
      if (!failed.has(waiting.seatKey)) ready.push(waiting);
    }
    return ready;
  }

  async #handOver(tasks: readonly WaitingTask[], failed: Set<string>): Promise<void> {
    const startedAtMs = Date.now();
    const seats = Map.groupBy(tasks, ({ seatKey }) => seatKey);
    await Promise.all(
      [...seats].map(async ([seatKey, inTurn]) => {
        try {
          await this.#inTurn(inTurn);
        } catch (thrown) {
          failed.add(seatKey);
          console.error("task not handed over", { thrown: String(thrown) });
        }
      }),
    );
    this.#lastTookMs = Date.now() - startedAtMs;
  }

  /** The next task of a seat asks the one before to give way, which must be there by then. */
  async #inTurn(tasks: readonly WaitingTask[]): Promise<void> {
    for (const { task, atMs, callbacks } of tasks) {
      await this.#env.TASK.getByName(task.taskId).create(task, atMs, callbacks);
      // Only now: what is still here after a crash is handed over again.
      this.#accepted.remove(task.taskId);
    }
  }
}
