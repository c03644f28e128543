/** The workers that an operator has taken out of service. They are stored in SQLite, with a copy in memory. */
export class DrainedWorkers {
  readonly #sql: SqlStorage;
  readonly #ids: Set<string>;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#ids = new Set(sql.exec<{ worker_id: string }>("SELECT worker_id FROM drained").toArray().map(idOf));
  }

  has(workerId: string): boolean {
    return this.#ids.has(workerId);
  }

  add(workerId: string): void {
    this.#ids.add(workerId);
    this.#sql.exec("INSERT OR IGNORE INTO drained (worker_id) VALUES (?)", workerId);
  }

  /** Removes a worker. Returns true if it was drained. */
  remove(workerId: string): boolean {
    this.#sql.exec("DELETE FROM drained WHERE worker_id = ?", workerId);
    return this.#ids.delete(workerId);
  }
}

function idOf({ worker_id }: { worker_id: string }): string {
  return worker_id;
}
