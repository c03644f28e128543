import type { TaskRoomEvent } from "../../model/task-room-event.ts";

/** What the events of a room have shown about a push, in the form that is stored. Times are Unix ms. */
export interface RoomSight {
  /**
   * The time at which the push's video started in the room, by TRTC's clock; null if no video of the push is known to
   * be there.
   */
  readonly confirmedAtMs: number | null;
  /** True if the push's user is in the room, and false if the user is not; null if no event has shown it yet. */
  readonly isIn: boolean | null;
  /** The time of the newest event about the push's user, by TRTC's clock. Older events about the user are ignored. */
  readonly ownAtMs: number;
  /** The number of viewers in the room, as far as is known. The users of tasks do not count. */
  readonly others: number;
  /**
   * The time since which the push's user is in the room without viewers, by the edge's clock; null if there are
   * viewers, or if the user is not known to be in the room.
   */
  readonly emptySinceMs: number | null;
  /**
   * The time at which the room was dismissed, by the edge's clock; null if it was not dismissed, or if the push's user
   * has entered or left it by itself since.
   */
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
 * How long after a room was dismissed the push may still come back before it ends. TRTC ends a room by itself when the
 * connection of the room's last user is lost. That user may be the push itself, which then connects again. The events
 * of its return may come a little later than the event of the dismissal.
 */
export const DISMISSED_WAIT_MS = 5000;

/** Returns what is known of the room once this event is added. Pure. */
export function afterRoomEvent(before: RoomSight = UNSEEN, event: TaskRoomEvent, nowMs: number): RoomSight {
  const seen = { ...ownPart(before, event, nowMs), others: event.others };
  const isAlone = seen.isIn === true && seen.others === 0;
  return { ...seen, emptySinceMs: isAlone ? (before.emptySinceMs ?? nowMs) : null };
}

function ownPart(before: RoomSight, event: TaskRoomEvent, nowMs: number): RoomSight {
  if (event.kind === "dismissed") {
    // If the user was not in the room when it ended, the dismissal says nothing about the push.
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

/**
 * Returns when and why a push ends because its room was dismissed or has had no viewers for too long. Returns null if
 * neither is the case. Pure.
 */
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
