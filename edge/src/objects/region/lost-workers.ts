/** A worker that went without having said that it leaves. Times are Unix ms. */
export interface LostWorker {
  readonly workerId: string;
  readonly version: string;
  readonly lostAtMs: number;
  /** How many tasks it had then. */
  readonly tasks: number;
}

const LISTED_FOR_MS = 3_600_000;

/** Workers that were lost within the last hour and are not back: in SQLite, for people who look at night. */
export class LostWorkers {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  add({ workerId, version, lostAtMs, tasks }: LostWorker): void {
    this.#sql.exec("DELETE FROM lost WHERE lost_at_ms <= ?", lostAtMs - LISTED_FOR_MS);
    this.#sql.exec("INSERT OR REPLACE INTO lost VALUES (?, ?, ?, ?)", workerId, version, lostAtMs, tasks);
  }

  /** It is back. */
  remove(workerId: string): void {
    this.#sql.exec("DELETE FROM lost WHERE worker_id = ?", workerId);
  }

  /** The newest first; who may still be about to come back is none of them. */
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
