import type { TaskRoomEvent } from "../../model/task-room-event.ts";

/** What a room's events say about a push, as it is stored. Times are Unix ms. */
export interface RoomSight {
  /** When the room got the picture; null if it has none, as far as is known. */
  readonly confirmedAtMs: number | null;
  /** True if its user is in the room; null if no event has said so yet. */
  readonly isIn: boolean | null;
  /** The time of the newest event about its user, by TRTC's clock: older events come too late. */
  readonly ownAtMs: number;
  /** How many others are in the room, as far as is known. */
  readonly others: number;
  /** When the user was left alone in the room, by the edge's clock; null if others are there or the user is not. */
  readonly emptySinceMs: number | null;
  /** When the room was dismissed, by the edge's clock; null if it was not, or if the push has come back since. */
  readonly dismissedAtMs: number | null;
}

const UNSEEN: RoomSight = {
  confirmedAtMs: null,
  isIn: null,
  ownAtMs: 0,
  others: 0,
  emptySinceMs: null,
  dismissedAtMs: null,
};

/**
 * How long a dismissed room is waited for. A room ends by itself when its last user's connection is lost, and the push
 * may be that user: it comes back, and the events of its return may come a little later than that of the room.
 */
export const DISMISSED_WAIT_MS = 5000;

/** Returns what is known of the room after one of its events. Pure. */
export function afterRoomEvent(before: RoomSight = UNSEEN, event: TaskRoomEvent, nowMs: number): RoomSight {
  const seen = { ...ownPart(before, event, nowMs), others: event.others };
  const isAlone = seen.isIn === true && seen.others === 0;
  return { ...seen, emptySinceMs: isAlone ? (before.emptySinceMs ?? nowMs) : null };
}

function ownPart(before: RoomSight, event: TaskRoomEvent, nowMs: number): RoomSight {
  if (event.kind === "dismissed") {
    // The user was not in the room when it ended.
    return before.isIn === false ? before : { ...before, dismissedAtMs: before.dismissedAtMs ?? nowMs };
  }
  if (!event.own || event.atMs < before.ownAtMs) return before;
  const own = { ...before, ownAtMs: event.atMs };
  switch (event.kind) {
    case "entered":
      return { ...own, isIn: true, dismissedAtMs: null };
    case "videoStarted":
      return { ...own, isIn: true, dismissedAtMs: null, confirmedAtMs: event.atMs };
    case "left":
      return { ...own, isIn: false, confirmedAtMs: null, dismissedAtMs: event.removed ? own.dismissedAtMs : null };
    case "videoStopped":
      return { ...own, confirmedAtMs: null };
    default:
      return before;
  }
}

/** Returns why and when a push ends for lack of a room or of viewers; null if it does not. Pure. */
export function roomOver(
  room: RoomSight | undefined,
  emptyRoomTimeoutS: number | undefined,
): { readonly atMs: number; readonly reason: string } | null {
  if (room === undefined) return null;
  if (room.dismissedAtMs !== null) {
    return { atMs: room.dismissedAtMs + DISMISSED_WAIT_MS, reason: "the room was dismissed" };
  }
  if (emptyRoomTimeoutS === undefined || room.emptySinceMs === null) return null;
  const reason = `nobody else was in the room for ${emptyRoomTimeoutS} s`;
  return { atMs: room.emptySinceMs + emptyRoomTimeoutS * 1000, reason };
}
