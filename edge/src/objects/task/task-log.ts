import type { LogLine } from "@roomcast/shared";

/** The number of newest lines that are kept. */
const MAX_LOG_LINES = 1000;

export interface TaskLogLine extends LogLine {
  readonly attempt: number;
}

/** A task's log in the object's SQLite. Only the newest lines are kept. */
export class TaskLog {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  create(): void {
    this.#sql.exec(
      `CREATE TABLE IF NOT EXISTS log_line (
         seq INTEGER PRIMARY KEY AUTOINCREMENT,
         at_ms REAL NOT NULL, attempt INTEGER NOT NULL, level TEXT NOT NULL, message TEXT NOT NULL)`,
    );
  }

  append(attempt: number, lines: readonly LogLine[]): void {
    for (const { atMs, level, message } of lines) {
      this.#sql.exec(
        "INSERT INTO log_line (at_ms, attempt, level, message) VALUES (?, ?, ?, ?)",
        atMs,
        attempt,
        level,
        message,
      );
    }
    this.#sql.exec("DELETE FROM log_line WHERE seq <= (SELECT MAX(seq) FROM log_line) - ?", MAX_LOG_LINES);
  }

  /**
   * Returns the lines, oldest first.
   *
   * @param maxCharacters the limit for the total length of the messages; the newest lines that fit are returned
   */
  lines(maxCharacters: number): { readonly lines: TaskLogLine[]; readonly isCut: boolean } {
    const lines: TaskLogLine[] = [];
    let characters = 0;
    let isCut = false;
    // SAFETY: only `append` writes the columns.
    const newestFirst = this.#sql.exec(
      "SELECT at_ms AS atMs, attempt, level, message FROM log_line ORDER BY seq DESC",
    ) as unknown as Iterable<TaskLogLine>;
    for (const line of newestFirst) {
      characters += line.message.length;
      isCut = characters > maxCharacters;
      if (isCut) break;
      lines.push(line);
    }
    return { lines: lines.toReversed(), isCut };
  }
}
