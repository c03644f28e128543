import type { RoomEvent } from "./room-event.ts";

/** An event of a room, in the form in which a task in that room gets it. */
export interface TaskRoomEvent extends Pick<RoomEvent, "kind" | "removed" | "atMs"> {
  /** True if the event is about the task's own user. */
  readonly own: boolean;
  /** The number of other users that are known to be in the room. */
  readonly others: number;
}
