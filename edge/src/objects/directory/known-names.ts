/**
 * Names in a directory's SQLite. The root registry has the names of all applications and regions. An application's
 * Directory has only its own name (`self`), which it stores once the root registry knows it.
 */
export class KnownNames {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  add(kind: "app" | "region" | "self", name: string): void {
    this.#sql.exec("INSERT OR IGNORE INTO known (kind, name) VALUES (?, ?)", kind, name);
  }

  /** Returns the names of one kind, sorted. */
  all(kind: "app" | "region"): string[] {
    const rows = this.#sql.exec<{ name: string }>("SELECT name FROM known WHERE kind = ? ORDER BY name", kind);
    return rows.toArray().map(({ name }) => name);
  }

  has(kind: "self", name: string): boolean {
    return this.#sql.exec("SELECT 1 FROM known WHERE kind = ? AND name = ?", kind, name).toArray().length > 0;
  }
}
