export interface WaitingTask {
  readonly taskId: string;
  readonly units: number;
}

/** The number of tasks, the oldest ones, that are considered whenever there may be free units. */
const MAX_LOOKED_AT = 200;

/** A task is removed from the queue if, this long after it was woken, it has neither been placed nor asked for a worker again. */
export const WOKEN_HOLDS_MS = 30_000;

/**
 * The queue of tasks that found no worker with enough free units. They are woken when there may be one. The queue is
 * stored in SQLite, oldest first. A woken task keeps its place until it has found a worker, so that newer tasks do not
 * overtake it if it does not find one.
 */
export class WaitingTasks {
  readonly #sql: SqlStorage;
  /**
   * The wake-up times of woken tasks that have not asked for a worker again yet, Unix ms. They are in memory only, so
   * after an eviction these tasks are woken again.
   */
  readonly #wokenAtMs = new Map<string, number>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  get isEmpty(): boolean {
    return this.#sql.exec("SELECT 1 FROM waiting LIMIT 1").toArray().length === 0;
  }

  get count(): number {
    return this.#sql.exec<{ n: number }>("SELECT COUNT(*) AS n FROM waiting").one().n;
  }

  ids(): string[] {
    return this.#sql
      .exec<{ task_id: string }>("SELECT task_id FROM waiting")
      .toArray()
      .map(({ task_id }) => task_id);
  }

  /** Adds a task to the queue. A task that is already in it keeps its place. */
  add({ taskId, units }: WaitingTask): void {
    this.#wokenAtMs.delete(taskId);
    this.#sql.exec("INSERT OR IGNORE INTO waiting (task_id, units) VALUES (?, ?)", taskId, units);
  }

  remove(taskId: string): void {
    this.#wokenAtMs.delete(taskId);
    this.#sql.exec("DELETE FROM waiting WHERE task_id = ?", taskId);
  }

  /**
   * Chooses the tasks to wake. Goes through the oldest tasks in order and chooses each one that still fits on some worker after the earlier choices. A task that was woken already, and is about to ask for a worker, counts as chosen, but is not woken a
   * second time.
   *
   * @param freeUnits the free units of each worker that takes tasks
   */
  wake(freeUnits: readonly number[], nowMs: number): WaitingTask[] {
    const free = [...freeUnits];
    const chosen: WaitingTask[] = [];
    const rows = this.#sql
      .exec<{ task_id: string; units: number }>(
        "SELECT task_id, units FROM waiting ORDER BY seq LIMIT ?",
        MAX_LOOKED_AT,
      )
      .toArray();
    for (const { task_id: taskId, units } of rows) {
      const wokenAtMs = this.#wokenAtMs.get(taskId);
      if (wokenAtMs !== undefined && nowMs - wokenAtMs >= WOKEN_HOLDS_MS) {
        this.remove(taskId);
        continue;
      }
      const worker = free.findIndex((left) => left >= units);
      if (worker === -1) continue;
      free[worker] = (free[worker] ?? 0) - units;
      if (wokenAtMs !== undefined) continue;
      this.#wokenAtMs.set(taskId, nowMs);
      chosen.push({ taskId, units });
    }
    return chosen;
  }
}
