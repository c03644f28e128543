import type { ErrorCode, RoomcastError } from "@roomcast/shared";

const ROOM_MAY_RETURN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "FailedOperation.RoomLost",
  "FailedOperation.RoomUnreachable",
]);

/** `SourceNotFound` too: while its publisher is away, a live server knows no such stream. */
const LIVE_SOURCE_MAY_RETURN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "FailedOperation.SourceLost",
  "FailedOperation.SourceTimeout",
  "FailedOperation.SourceUnreachable",
  "FailedOperation.SourceNotFound",
  "FailedOperation.SourceTruncated",
]);

/**
 * Whether a session that has been on the air waits for what it lost. A session that never was on the air does not: its
 * caller is waiting for an answer. Pure.
 */
export function mayReconnect(
  error: RoomcastError,
  session: { readonly live: boolean; readonly wasOnAir: boolean },
): boolean {
  if (!session.wasOnAir) return false;
  return ROOM_MAY_RETURN.has(error.code) || (session.live && LIVE_SOURCE_MAY_RETURN.has(error.code));
}
