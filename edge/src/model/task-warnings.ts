import { parseSeatKey, type ShownRequest, type TaskWarningCode } from "@roomcast/shared";

/** A risk of a task, which is accepted nevertheless. The message is one line of ASCII, because it also goes into a header. */
export interface Warning {
  readonly code: TaskWarningCode;
  readonly message: string;
}

export interface TaskWarning extends Warning {
  /** The time at which the warning was given, Unix ms. */
  readonly atMs: number;
}

/** A seat of the same user in another room, and the task that has it. */
interface OtherSeat {
  readonly taskId: string;
  readonly seatKey: string;
}

type Warned = Pick<ShownRequest, "RoomId" | "UserId" | "OnConflict">;

/** Returns the warnings of a new task. Pure.
 *
 * @param elsewhere tasks of the same user in other rooms of the application
 */
export function warningsOf(request: Warned, elsewhere: readonly OtherSeat[]): readonly Warning[] {
  const { RoomId } = request;
  return [...(RoomId === undefined ? [] : [integerRoom(RoomId)]), ...elsewhereWarnings(request, elsewhere)];
}

/**
 * Returns the warnings about tasks of the same user in other rooms. The answer to a create carries only these, because they
 * depend on what else runs. Pure.
 */
export function elsewhereWarnings({ UserId, OnConflict }: Warned, [other]: readonly OtherSeat[]): readonly Warning[] {
  return other === undefined ? [] : [userElsewhere(UserId, other, OnConflict === "replace")];
}

function integerRoom(roomId: number): Warning {
  return {
    code: "IntegerRoom",
    message:
      `TRTC documents string rooms only for pushes by RTMP, and the string room "${roomId}" is another room than the ` +
      `integer room ${roomId}. If those in the room see nothing, let them enter a string room, and send StrRoomId.`,
  };
}

function userElsewhere(userId: string, { taskId, seatKey }: OtherSeat, replaces: boolean): Warning {
  const what = replaces
    ? "It ends when this push is in its room."
    : 'TRTC takes the older push out of its room, or each the other: use another UserId for each, or OnConflict "replace" to end the older push, "reject" to refuse the newer one.';
  return {
    code: "UserIdElsewhere",
    message: `A UserId is one user in all rooms of its application, and task ${taskId} has ${userId} push in ${roomOf(seatKey)}. ${what}`,
  };
}

/** Returns the name of a seat's room as it is shown to users. */
export function roomOf(seatKey: string): string {
  const { room } = parseSeatKey(seatKey);
  return room.kind === "number" ? `the integer room ${room.id}` : `the string room "${room.id}"`;
}

/** Writes the value of the header `x-roomcast-warning`. */
export function warningHeader(warnings: readonly Warning[]): string {
  return warnings.map(({ code, message }) => `${code}: ${message}`).join(" | ");
}
