import type { PushRequest } from "./push-request.ts";

/** A TRTC room. The integer room 42 and the string room "42" are two different rooms. */
export type Room = { readonly kind: "number"; readonly id: number } | { readonly kind: "string"; readonly id: string };

/** What one publisher occupies in a room. */
export interface Seat {
  readonly sdkAppId: number;
  readonly room: Room;
  readonly userId: string;
}

/** Returns the seat that a request asks for. RoomId is used if StrRoomId is given too. */
export function seatOf(request: Pick<PushRequest, "SdkAppId" | "RoomId" | "StrRoomId" | "UserId">): Seat {
  const room: Room =
    request.RoomId === undefined
      ? { kind: "string", id: request.StrRoomId ?? "" }
      : { kind: "number", id: request.RoomId };
  return { sdkAppId: request.SdkAppId, room, userId: request.UserId };
}

/** Returns the seat as a text. Two texts are equal only if the seats are equal. */
export function seatKey(seat: Seat): string {
  return `${seat.sdkAppId}/${seat.room.kind}/${seat.room.id}/${seat.userId}`;
}

/**
 * Returns the seat that `seatKey` wrote as this text.
 *
 * @throws Error where it is none.
 */
export function parseSeatKey(key: string): Seat {
  const [sdkAppId, kind, id, userId, ...more] = key.split("/");
  const isWhole = id !== undefined && userId !== undefined && more.length === 0;
  if (!isWhole || (kind !== "number" && kind !== "string")) throw new Error("This is not the key of a seat.");
  const room: Room = kind === "number" ? { kind, id: Number(id) } : { kind, id };
  return { sdkAppId: Number(sdkAppId), room, userId };
}
