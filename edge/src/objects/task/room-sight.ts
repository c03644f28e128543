import type { TaskRoomEvent } from "../../model/task-room-event.ts";

/** What a room's own events say of a push, as it is stored. Times are Unix ms. */
export interface RoomSight {
  /** Since when the room has its picture; null: it has none, as far as is known. */
  readonly confirmedAtMs: number | null;
  /** Whether its user is in the room; null: not heard yet. */
  readonly isIn: boolean | null;
  /** By TRTC's clock, when that was last heard: what happened before comes too late. */
  readonly ownAtMs: number;
  /** How many others are in the room, as far as is known. */
  readonly others: number;
  /** By the edge's clock; null: there are others, or it is not in the room itself. */
  readonly emptySinceMs: number | null;
  /** By the edge's clock; null: it was not, or the push has come back since then. */
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
 * A room ends by itself when its last user's connection is lost, and the push may be that user: it comes back, and its
 * own events, which say so, may come a little later than that of the room.
 */
export const DISMISSED_PATIENCE_MS = 5000;

/** What is known of the room after one of its events. Pure. */
export function afterRoomEvent(before: RoomSight = UNSEEN, event: TaskRoomEvent, nowMs: number): RoomSight {
  const seen = { ...ownPart(before, event, nowMs), others: event.others };
  const isAlone = seen.isIn === true && seen.others === 0;
  return { ...seen, emptySinceMs: isAlone ? (before.emptySinceMs ?? nowMs) : null };
}

function ownPart(before: RoomSight, event: TaskRoomEvent, nowMs: number): RoomSight {
  if (event.kind === "dismissed") {
    // It was out of the room when that ended.
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

/** Why and when a push has nobody to push for any more; null: it has. Pure. */
export function roomOver(
  room: RoomSight | undefined,
  emptyRoomTimeoutS: number | undefined,
): { readonly atMs: number; readonly reason: string } | null {
  if (room === undefined) return null;
  if (room.dismissedAtMs !== null) {
    return { atMs: room.dismissedAtMs + DISMISSED_PATIENCE_MS, reason: "the room was dismissed" };
  }
  if (emptyRoomTimeoutS === undefined || room.emptySinceMs === null) return null;
  const reason = `nobody else was in the room for ${emptyRoomTimeoutS} s`;
  return { atMs: room.emptySinceMs + emptyRoomTimeoutS * 1000, reason };
}
