import type { RoomEvent } from "./room-event.ts";

/** An event of a task's room, as the task gets it. */
export interface TaskRoomEvent extends Pick<RoomEvent, "kind" | "removed" | "atMs"> {
  /** True if the event is about the task's own user. */
  readonly own: boolean;
  /** How many other users are in the room, as far as is known. */
  readonly others: number;
}
