export interface WaitingTask {
  readonly taskId: string;
  readonly units: number;
}

/** Tasks that found no room, to be woken when there may be some: in SQLite, the oldest first. */
export class WaitingTasks {
  readonly #sql: SqlStorage;

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
    this.#sql.exec("INSERT OR IGNORE INTO waiting (task_id, units) VALUES (?, ?)", taskId, units);
  }

  remove(taskId: string): void {
    this.#sql.exec("DELETE FROM waiting WHERE task_id = ?", taskId);
  }

  /** As many of the oldest as this much room may take. */
  fitting(freeUnits: number): WaitingTask[] {
    const chosen: WaitingTask[] = [];
    let left = freeUnits;
    for (const row of this.#sql.exec<{ task_id: string; units: number }>(
      "SELECT * FROM waiting ORDER BY seq LIMIT 200",
    )) {
      if (left < row.units) break;
      left -= row.units;
      chosen.push({ taskId: row.task_id, units: row.units });
    }
    return chosen;
  }
}
