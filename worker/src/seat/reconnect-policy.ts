import type { ErrorCode, RoomcastError } from "@roomcast/shared";

const ROOM_MAY_RETURN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "FailedOperation.RoomLost",
  "FailedOperation.RoomUnreachable",
]);

/** Whether a room that was entered before is entered again. Refused or replaced, a session does not fight. Pure. */
export function mayEnterAgain(error: RoomcastError): boolean {
  return ROOM_MAY_RETURN.has(error.code);
}
