/**
 * Workers that were connected, or had just left, when the region's object was ended with the whole runtime, and are not back yet. Their
 * tasks are not given away, and nobody is told that there is no worker, before they had time to dial again. Who is
 * connected stands in SQLite, because sockets do not outlive the runtime. Times are Unix ms and come in as arguments.
 */
export class ExpectedWorkers {
  readonly #sql: SqlStorage;
  readonly #bornAtMs: number;
  readonly #expected: Set<string>;
  /** Whose last socket has ended in this life, and when that is for good. */
  readonly #leaving = new Map<string, number>();

  /** @param connected those whose sockets have outlived the last life of the object, which had only hibernated */
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

  /** A worker has said hello. */
  came(workerId: string): void {
    this.#expected.delete(workerId);
    this.#leaving.delete(workerId);
    this.#sql.exec("INSERT OR IGNORE INTO connected (worker_id) VALUES (?)", workerId);
  }

  /** A worker's last socket has ended. Where that is the runtime's own end, nothing more comes before the next life. */
  leaves(workerId: string, forGoodAtMs: number): void {
    this.#leaving.set(workerId, forGoodAtMs);
  }

  /** Forgets those who have left for good; returns when there is more to forget, Infinity: never. */
  forgetLeft(nowMs: number): number {
    for (const [workerId, forGoodAtMs] of this.#leaving) if (forGoodAtMs <= nowMs) this.#forget(workerId);
    return Math.min(Number.POSITIVE_INFINITY, ...this.#leaving.values());
  }

  has(workerId: string, { nowMs, returnMs }: ReturnTime): boolean {
    return this.#expected.has(workerId) && this.untilMs(returnMs) > nowMs;
  }

  /** Until when all of them are waited for. */
  untilMs(returnMs: number): number {
    return this.#bornAtMs + returnMs;
  }

  /** For how much longer anybody is waited for, ms; 0: nobody is. Those who did not come are forgotten. */
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
