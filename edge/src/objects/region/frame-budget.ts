import { MAX_RUNNING_TASKS } from "@roomcast/shared";

/**
 * The number of short frames in a full budget: four about each task, because a worker that comes back repeats at once
 * the frames that were not acknowledged.
 */
const BURST = 4 * MAX_RUNNING_TASKS;
/**
 * The number of short frames by which a budget grows each second. A fully loaded worker sends fewer, even if its tasks
 * all start and end within a few seconds.
 */
const PER_SECOND = 1000;
/**
 * A frame counts as one more short frame for each part of this length. A report of 2500 tasks has about 500,000
 * characters.
 */
const CHARACTERS = 4096;
/** If this many budgets are stored, those that are full again are removed. */
const MAX_WORKERS = 1000;

interface Budget {
  readonly left: number;
  readonly atMs: number;
}

/**
 * The number of short frames that each worker may still send, its budget. Without a budget, anyone with a stolen worker
 * token could block the frames of all other workers, because every frame is an event of the object, and most are
 * answered. The budgets are in memory, by the worker's id, so that connecting again does not renew them.
 */
export class FrameBudget {
  readonly #budgets = new Map<string, Budget>();

  /** Counts a frame of this length. Returns false if the worker has used up its budget. */
  takeFrame(workerId: string, length: number, nowMs: number): boolean {
    return this.take(workerId, 1 + Math.floor(length / CHARACTERS), nowMs);
  }

  /**
   * Counts an action that causes as much work as this number of short frames. Returns false if the worker has used up
   * its budget.
   */
  take(workerId: string, count: number, nowMs: number): boolean {
    const left = this.#left(this.#budgets.get(workerId), nowMs) - count;
    if (this.#budgets.size >= MAX_WORKERS && !this.#budgets.has(workerId)) this.#forgetFull(nowMs);
    this.#budgets.set(workerId, { left: Math.max(0, left), atMs: nowMs });
    return left >= 0;
  }

  #left(budget: Budget | undefined, nowMs: number): number {
    if (budget === undefined) return BURST;
    // A clock that goes back does not change the budget.
    const passedMs = Math.max(0, nowMs - budget.atMs);
    return Math.min(BURST, budget.left + (passedMs * PER_SECOND) / 1000);
  }

  #forgetFull(nowMs: number): void {
    for (const [workerId, budget] of this.#budgets) {
      if (this.#left(budget, nowMs) >= BURST) this.#budgets.delete(workerId);
    }
  }
}
