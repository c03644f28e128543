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

/** A file that is not there, or is broken, will be so in a minute too. */
const RECORDED_SOURCE_MAY_OPEN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "FailedOperation.SourceLost",
  "FailedOperation.SourceTimeout",
  "FailedOperation.SourceUnreachable",
]);

/** Whether a room that was entered before is entered again. Refused or replaced, a session does not fight. Pure. */
export function mayEnterAgain(error: RoomcastError): boolean {
  return ROOM_MAY_RETURN.has(error.code);
}

/** Whether a live source that was on the air is waited for. Pure. */
export function mayReturn(error: RoomcastError): boolean {
  return LIVE_SOURCE_MAY_RETURN.has(error.code);
}

/** Whether a recorded source that could not be opened in the middle of a programme is tried again. Pure. */
export function mayOpenLater(error: RoomcastError): boolean {
  return RECORDED_SOURCE_MAY_OPEN.has(error.code);
}
