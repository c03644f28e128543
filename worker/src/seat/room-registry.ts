import { type Seat, seatKey } from "@roomcast/shared";
import { RoomSession } from "./room-session.ts";
import type { RoomStay, StayOptions } from "./room-stay.ts";

/** The room sessions of this process, one a seat. */
export class RoomRegistry {
  readonly #sessions = new Map<string, RoomSession>();

  /** Lets a task in: into a room of its own, or as the successor of the task that holds the seat here. */
  enter(seat: Seat, options: StayOptions): RoomStay {
    const key = seatKey(seat);
    let session = this.#sessions.get(key);
    if (session === undefined || session.ended) {
      session = new RoomSession();
      this.#sessions.set(key, session);
    }
    const stay = session.enter(options);
    void stay.done.then(() => this.#forget(key));
    return stay;
  }

  #forget(key: string): void {
    if (this.#sessions.get(key)?.ended === true) this.#sessions.delete(key);
  }
}
