import { MAX_RUNNING_TASKS } from "@roomcast/shared";

/** Four words about each task at once: a worker that comes back repeats what was not acknowledged. */
const BURST = 4 * MAX_RUNNING_TASKS;
/** A worker that is full and whose tasks all start and end within some seconds says less. */
const PER_SECOND = 1000;
/** A frame of this length counts as one more. A report of 2500 tasks has about 500,000 characters. */
const CHARACTERS = 4096;
/** Above so many workers those that have all of their budget again are forgotten. */
const MAX_WORKERS = 1000;

interface Budget {
  readonly left: number;
  readonly atMs: number;
}

/**
 * How much each worker may still say. Whoever has stolen a worker token could otherwise keep the edge from hearing all
 * others: every frame is an event of the object, and most are answered. In memory, by the worker's id, so that to dial
 * again does not help.
 */
export class FrameBudget {
  readonly #budgets = new Map<string, Budget>();

  /** Counts a frame of this length. False: the worker says too much. */
  takeFrame(workerId: string, length: number, nowMs: number): boolean {
    return this.take(workerId, 1 + Math.floor(length / CHARACTERS), nowMs);
  }

  /** Counts what causes as much work as so many short frames. False: it is too much. */
  take(workerId: string, count: number, nowMs: number): boolean {
    const left = this.#left(this.#budgets.get(workerId), nowMs) - count;
    if (this.#budgets.size >= MAX_WORKERS && !this.#budgets.has(workerId)) this.#forgetFull(nowMs);
    this.#budgets.set(workerId, { left: Math.max(0, left), atMs: nowMs });
    return left >= 0;
  }

  #left(budget: Budget | undefined, nowMs: number): number {
    if (budget === undefined) return BURST;
    // A clock that goes back gives nothing and takes nothing.
    const passedMs = Math.max(0, nowMs - budget.atMs);
    return Math.min(BURST, budget.left + (passedMs * PER_SECOND) / 1000);
  }

  #forgetFull(nowMs: number): void {
    for (const [workerId, budget] of this.#budgets) {
      if (this.#left(budget, nowMs) >= BURST) this.#budgets.delete(workerId);
    }
  }
}
