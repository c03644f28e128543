/**
 * Workers that were connected, or had just left, when the whole runtime ended, and that are not back yet. Until they
 * have had time to connect again, their tasks are not given to other workers, and no task fails for lack of a worker.
 * The connected workers are stored in SQLite, because sockets do not outlive the runtime. Times are Unix ms and are
 * passed in as arguments.
 */
export class ExpectedWorkers {
  readonly #sql: SqlStorage;
  readonly #bornAtMs: number;
  readonly #expected: Set<string>;
  /**
   * The workers whose last socket has ended since this object was created, with the times at which they count as gone.
   */
  readonly #leaving = new Map<string, number>();

  /** @param connected workers whose sockets are still open, because the object had only hibernated */
  constructor(sql: SqlStorage, connected: readonly string[], nowMs: number) {
    this.#sql = sql;
    this.#bornAtMs = nowMs;
    this.#expected = new Set(
      sql
        .exec<{ worker_id: string }>("SELECT worker_id FROM connected")
        .toArray()
        .map(({ worker_id }) => worker_id),
    );
    for (const workerId of connected) this.#expected.delete(workerId);
  }

  /** Records that a worker has sent its hello. */
  came(workerId: string): void {
    this.#expected.delete(workerId);
    this.#leaving.delete(workerId);
    this.#sql.exec("INSERT OR IGNORE INTO connected (worker_id) VALUES (?)", workerId);
  }

  /**
   * Records that a worker's last socket has ended. If the runtime is ending too, the worker stays stored and is
   * expected after the restart.
   */
  leaves(workerId: string, forGoodAtMs: number): void {
    this.#leaving.set(workerId, forGoodAtMs);
  }

  /**
   * Forgets the workers that count as gone. Returns the time at which the next worker counts as gone; infinity if there
   * is no such worker.
   */
  forgetLeft(nowMs: number): number {
    for (const [workerId, forGoodAtMs] of this.#leaving) if (forGoodAtMs <= nowMs) this.#forget(workerId);
    return Math.min(Number.POSITIVE_INFINITY, ...this.#leaving.values());
  }

  has(workerId: string, { nowMs, returnMs }: ReturnTime): boolean {
    return this.#expected.has(workerId) && this.untilMs(returnMs) > nowMs;
  }

  /** Returns the time until which the region waits for the expected workers. */
  untilMs(returnMs: number): number {
    return this.#bornAtMs + returnMs;
  }

  /**
   * Returns how much longer the region waits for the expected workers, ms; 0 if it does not wait. When the time is
   * over, the workers that have not come back are forgotten.
   */
  leftMs({ nowMs, returnMs }: ReturnTime): number {
    if (this.#expected.size === 0) return 0;
    const leftMs = this.untilMs(returnMs) - nowMs;
    if (leftMs > 0) return leftMs;
    for (const workerId of this.#expected) this.#forget(workerId);
    return 0;
  }

  #forget(workerId: string): void {
    this.#expected.delete(workerId);
    this.#leaving.delete(workerId);
    this.#sql.exec("DELETE FROM connected WHERE worker_id = ?", workerId);
  }
}

export interface ReturnTime {
  readonly nowMs: number;
  /** How long workers may take to come back after a restart. */
  readonly returnMs: number;
}
