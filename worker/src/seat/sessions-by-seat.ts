import { type Seat, seatKey } from "@roomcast/shared";
import { RoomSession } from "./room-session.ts";
import type { SessionTask, SessionTaskOptions } from "./session-task.ts";

/** The room sessions of this process, at most one per seat. */
export class SessionsBySeat {
  readonly #sessions = new Map<string, RoomSession>();

  /**
   * Enters a task into the session of its seat, as the successor of the task that plays there, or into a new session.
   */
  enter(seat: Seat, options: SessionTaskOptions): SessionTask {
    const key = seatKey(seat);
    let session = this.#sessions.get(key);
    if (session === undefined || session.ended) {
      session = new RoomSession();
      this.#sessions.set(key, session);
    }
    const task = session.enter(options);
    void task.done.then(() => this.#forget(key));
    return task;
  }

  #forget(key: string): void {
    if (this.#sessions.get(key)?.ended === true) this.#sessions.delete(key);
  }
}
