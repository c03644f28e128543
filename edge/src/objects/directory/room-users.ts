import { parseSeatKey } from "@roomcast/shared";
import type { RoomNews, RoomTask } from "../../contracts/directory-object.ts";
import { type RoomEvent, roomKey } from "../../model/room-event.ts";

const MAX_TASKS = 32;
const MAX_COUNTED = 1000;
/**
 * The most users of all rooms that are stored. A user who has had no event for a day is deleted, because the user may
 * have left without an event.
 */
const MAX_USERS = 100_000;
const MAX_AGE_MS = 24 * 3_600_000;
const TIDY_EVERY = 1000;

/**
 * The users in an application's rooms, as far as TRTC's events show them. The events may come in another order than
 * they happened.
 */
export class RoomUsers {
  readonly #sql: SqlStorage;
  #untidy = 0;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /**
   * Records an event, as part of the caller's transaction. Returns the tasks of the event's room and the number of
   * other users there.
   */
  record(sdkAppId: number, { kind, room, userId, atMs }: RoomEvent): RoomNews {
    const key = roomKey(sdkAppId, room);
    if (userId !== null) this.#note({ key, userId, isIn: kind !== "left", atMs });
    else this.#sql.exec("DELETE FROM room_user WHERE room_key = ? AND at_ms < ?", key, atMs);
    const tasks = this.#tasksIn(key);
    return { tasks, others: tasks.length === 0 ? 0 : this.#others(key, tasks) };
  }

  #note({ key, userId, isIn, atMs }: { key: string; userId: string; isIn: boolean; atMs: number }): void {
    this.#sql.exec(
      `INSERT INTO room_user (room_key, user_id, is_in, at_ms) VALUES (?, ?, ?, ?)
         ON CONFLICT (room_key, user_id) DO UPDATE SET is_in = excluded.is_in, at_ms = excluded.at_ms
         WHERE excluded.at_ms >= room_user.at_ms`,
      key,
      userId,
      isIn ? 1 : 0,
      atMs,
    );
    this.#untidy += 1;
    if (this.#untidy >= TIDY_EVERY) this.#tidy(atMs);
  }

  #tidy(nowMs: number): void {
    this.#untidy = 0;
    this.#sql.exec("DELETE FROM room_user WHERE at_ms < ?", nowMs - MAX_AGE_MS);
    // A user who left is kept for a while, so that an older event that comes late does not bring the user back.
    this.#sql.exec("DELETE FROM room_user WHERE is_in = 0 AND at_ms < ?", nowMs - 600_000);
    this.#sql.exec(
      `DELETE FROM room_user WHERE at_ms <= (SELECT at_ms FROM room_user ORDER BY at_ms DESC LIMIT 1 OFFSET ${MAX_USERS})`,
    );
  }

  #tasksIn(key: string): RoomTask[] {
    // The condition selects the seats whose keys begin with the room's key. The room's key ends with a slash, and `0`
    // is the character after the slash.
    return this.#sql
      .exec<{ seat_key: string; task_id: string }>(
        "SELECT seat_key, task_id FROM seat WHERE seat_key > ? AND seat_key < ? LIMIT ?",
        key,
        `${key.slice(0, -1)}0`,
        MAX_TASKS,
      )
      .toArray()
      .map(({ seat_key, task_id }) => ({ taskId: task_id, userId: parseSeatKey(seat_key).userId }));
  }

  #others(key: string, tasks: readonly RoomTask[]): number {
    const marks = tasks.map(() => "?").join(", ");
    return this.#sql
      .exec<{ n: number }>(
        `SELECT COUNT(*) AS n FROM (SELECT 1 FROM room_user
           WHERE room_key = ? AND is_in = 1 AND user_id NOT IN (${marks}) LIMIT ${MAX_COUNTED})`,
        key,
        ...tasks.map(({ userId }) => userId),
      )
      .one().n;
  }
}
