export interface WaitingTask {
  readonly taskId: string;
  readonly units: number;
}

/** So many of the oldest are looked at each time that there may be room. */
const MAX_LOOKED_AT = 200;

/** A task that was woken and has neither taken a place nor asked again for so long does not wait here any more. */
export const WOKEN_HOLDS_MS = 30_000;

/**
 * Tasks that found no room, to be woken when there may be some: in SQLite, the oldest first. A task that is woken keeps
 * its place in the row until it has found a worker, so that it is not put behind newer ones if it finds none.
 */
export class WaitingTasks {
  readonly #sql: SqlStorage;
  /** When tasks were woken that have not asked again since, Unix ms. In memory: a new life of the object wakes them again. */
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

  /** A task that waits already keeps its place in the row. */
  add({ taskId, units }: WaitingTask): void {
    this.#wokenAtMs.delete(taskId);
    this.#sql.exec("INSERT OR IGNORE INTO waiting (task_id, units) VALUES (?, ?)", taskId, units);
  }

  remove(taskId: string): void {
    this.#wokenAtMs.delete(taskId);
    this.#sql.exec("DELETE FROM waiting WHERE task_id = ?", taskId);
  }

  /**
   * Chooses the tasks to wake: of the oldest those that fit on a worker each, whatever those before them need. A task that
   * was woken already, and is about to ask, counts as if it had the room; it is not woken a second time.
   *
   * @param freeUnits of each worker that takes tasks
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
