/** A worker that was lost without announcing that it leaves. Times are Unix ms. */
export interface LostWorker {
  readonly workerId: string;
  readonly version: string;
  readonly lostAtMs: number;
  /** The number of tasks that the worker had when it was lost. */
  readonly tasks: number;
}

const LISTED_FOR_MS = 3_600_000;

/**
 * The workers that were lost within the last hour and have not come back. They are stored in SQLite, so that an
 * operator can still see them after this object was evicted.
 */
export class LostWorkerList {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  add({ workerId, version, lostAtMs, tasks }: LostWorker): void {
    this.#sql.exec("DELETE FROM lost WHERE lost_at_ms <= ?", lostAtMs - LISTED_FOR_MS);
    this.#sql.exec("INSERT OR REPLACE INTO lost VALUES (?, ?, ?, ?)", workerId, version, lostAtMs, tasks);
  }

  /** Removes a worker that is back. */
  remove(workerId: string): void {
    this.#sql.exec("DELETE FROM lost WHERE worker_id = ?", workerId);
  }

  /** Returns the lost workers, newest first, except those whose grace is not over, because they may still come back. */
  list(nowMs: number, graceMs: number): LostWorker[] {
    return this.#sql
      .exec<{ worker_id: string; version: string; lost_at_ms: number; tasks: number }>(
        "SELECT * FROM lost WHERE lost_at_ms > ? AND lost_at_ms <= ? ORDER BY lost_at_ms DESC LIMIT 200",
        nowMs - LISTED_FOR_MS,
        nowMs - graceMs,
      )
      .toArray()
      .map((row) => ({
        workerId: row.worker_id,
        version: row.version,
        lostAtMs: row.lost_at_ms,
        tasks: row.tasks,
      }));
  }
}
