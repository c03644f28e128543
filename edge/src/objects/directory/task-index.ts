import { parseSeatKey, type ScfStatus, type TaskList } from "@roomcast/shared";
import type { EndedTask, UserSeat } from "../../contracts/directory-object.ts";
import { ALL_TASKS, type Condition } from "../../model/task-filter.ts";
import type { AcceptedTask } from "./accepted-tasks.ts";

/**
 * The tables that a Directory searches: tasks, seats and idempotency keys. Each call is part of the caller's
 * transaction.
 */
export class TaskIndex {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Writes an accepted task, which holds its seat from now on. Writing it again changes nothing. */
  file({ taskId, seatKey, region, atMs, startsAtMs, holder, idempotency }: AcceptedTask): void {
    const { sdkAppId, room, userId } = parseSeatKey(seatKey);
    const { rowsWritten } = this.#sql.exec(
      `INSERT OR IGNORE INTO task
         (task_id, sdk_app_id, seat_key, room, user_id, region, status, created_at_ms, replaced, confirmed)
       VALUES (?, ?, ?, ?, ?, ?, 'RUNNING', ?, ?, 1)`,
      taskId,
      sdkAppId,
      seatKey,
      JSON.stringify(room.id),
      userId,
      region,
      atMs,
      holder,
    );
    if (rowsWritten === 0) return;
    this.#sql.exec("INSERT OR REPLACE INTO seat (seat_key, task_id) VALUES (?, ?)", seatKey, taskId);
    if (startsAtMs > 0) this.#sql.exec("INSERT INTO later (task_id, starts_at_ms) VALUES (?, ?)", taskId, startsAtMs);
    if (idempotency === null) return;
    this.#sql.exec(
      "INSERT INTO idempotency (key, fingerprint, task_id) VALUES (?, ?, ?)",
      idempotency.key,
      idempotency.fingerprint,
      taskId,
    );
  }

  /** Returns the task that was accepted with an idempotency key, and the fingerprint of its request. */
  keyUse(key: string): { fingerprint: string; task_id: string } | undefined {
    return this.#sql
      .exec<{ fingerprint: string; task_id: string }>("SELECT fingerprint, task_id FROM idempotency WHERE key = ?", key)
      .toArray()[0];
  }

  /**
   * Returns the tasks that hold these seats (at most 100), by the seats' keys. One query for all seats costs little
   * more than a query for one.
   */
  holdersOf(seatKeys: readonly string[]): Map<string, string> {
    const seats = this.#sql.exec<{ seat_key: string; task_id: string }>(
      `SELECT seat_key, task_id FROM seat WHERE seat_key IN (${seatKeys.map(() => "?").join(", ")})`,
      ...seatKeys,
    );
    return new Map(seats.toArray().map(({ seat_key, task_id }) => [seat_key, task_id]));
  }

  /** Returns the seats that a user's running tasks hold or held, at most `limit`, the newest first. */
  seatsOfUser(userId: string, limit: number): UserSeat[] {
    return this.#sql
      .exec<{ seat_key: string; task_id: string; starts_at_ms: number }>(
        `SELECT seat_key, task_id, COALESCE(starts_at_ms, 0) AS starts_at_ms
           FROM task LEFT JOIN later USING (task_id) WHERE user_id = ? AND status = 'RUNNING'
           ORDER BY created_at_ms DESC LIMIT ?`,
        userId,
        limit,
      )
      .toArray()
      .map((row) => ({ seatKey: row.seat_key, taskId: row.task_id, startsAtMs: row.starts_at_ms }));
  }

  /**
   * Returns this task and the tasks before it in its seat, the newest first, up to the first one that is known here to
   * have ended. That one is left out. All the others may still be about to take the seat.
   */
  runningFrom(taskId: string | null): string[] {
    if (taskId === null) return [];
    return this.#sql
      .exec<{ task_id: string }>(
        `WITH RECURSIVE before (task_id, depth) AS (
           SELECT ?, 1
           UNION ALL
           SELECT task.replaced, depth + 1 FROM before JOIN task USING (task_id) WHERE task.status = 'RUNNING')
         SELECT task_id FROM before JOIN task USING (task_id) WHERE task.status = 'RUNNING' ORDER BY depth`,
        taskId,
      )
      .toArray()
      .map(({ task_id }) => task_id);
  }

  /** Counts tasks by status. The counts of all tasks are stored; the counts of a selection are queried. */
  counts({ where, bindings }: Condition): TaskList["counts"] {
    const counted = this.#sql.exec<{ status: ScfStatus; n: number }>(
      where === ALL_TASKS.where
        ? "SELECT status, n FROM status_count"
        : `SELECT status, COUNT(*) AS n FROM task WHERE ${where} GROUP BY status`,
      ...bindings,
    );
    const counts = { RUNNING: 0, FINISHED: 0, FAILED: 0, ABORTED: 0 };
    for (const { status, n } of counted) counts[status] = n;
    return counts;
  }

  replacedBy(taskId: string): string | null {
    const rows = this.#sql.exec<{ replaced: string | null }>("SELECT replaced FROM task WHERE task_id = ?", taskId);
    return rows.toArray()[0]?.replaced ?? null;
  }

  ended({ taskId, status, endedAtMs, heir, errorCode = null }: EndedTask): void {
    this.#sql.exec(
      "UPDATE task SET status = ?, ended_at_ms = ?, confirmed = 1 WHERE task_id = ?",
      status,
      endedAtMs,
      taskId,
    );
    if (errorCode !== null) {
      this.#sql.exec("INSERT OR REPLACE INTO failure (task_id, code) VALUES (?, ?)", taskId, errorCode);
    }
    if (heir !== null) this.bequeath(taskId, heir);
    this.#sql.exec("DELETE FROM seat WHERE task_id = ?", taskId);
  }

  /** Gives the seat of one task to another task, the heir, if the heir has not ended either. */
  bequeath(taskId: string, heir: string): void {
    this.#sql.exec(
      `UPDATE seat SET task_id = ?2 WHERE task_id = ?1
         AND EXISTS (SELECT 1 FROM task WHERE task_id = ?2 AND status = 'RUNNING')`,
      taskId,
      heir,
    );
  }

  forget(taskId: string): void {
    this.#sql.exec("DELETE FROM task WHERE task_id = ?", taskId);
    this.#sql.exec("DELETE FROM failure WHERE task_id = ?", taskId);
    this.#sql.exec("DELETE FROM later WHERE task_id = ?", taskId);
    this.#sql.exec("DELETE FROM seat WHERE task_id = ?", taskId);
    this.#sql.exec("DELETE FROM idempotency WHERE task_id = ?", taskId);
    this.#sql.exec("UPDATE task SET replaced = NULL WHERE replaced = ?", taskId);
  }
}
