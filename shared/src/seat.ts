import type { PushRequest } from "./push-request.ts";

/** A TRTC room. The integer room 42 and the string room "42" are two different rooms. */
export type Room = { readonly kind: "number"; readonly id: number } | { readonly kind: "string"; readonly id: string };

/** The place in a room that one publisher holds. */
export interface Seat {
  readonly sdkAppId: number;
  readonly room: Room;
  readonly userId: string;
}

/** The seat that a request asks for. RoomId wins over StrRoomId. */
export function seatOf(request: Pick<PushRequest, "SdkAppId" | "RoomId" | "StrRoomId" | "UserId">): Seat {
  const room: Room =
    request.RoomId === undefined
      ? { kind: "string", id: request.StrRoomId ?? "" }
      : { kind: "number", id: request.RoomId };
  return { sdkAppId: request.SdkAppId, room, userId: request.UserId };
}

/** One text per seat, equal only for equal seats. */
export function seatKey(seat: Seat): string {
  return `${seat.sdkAppId}/${seat.room.kind}/${seat.room.id}/${seat.userId}`;
}

/**
 * The seat of such a text.
 *
 * @throws Error where it is none.
 */
export function parseSeatKey(key: string): Seat {
  const [sdkAppId, kind, id, userId, ...more] = key.split("/");
  const isWhole = id !== undefined && userId !== undefined && more.length === 0;
  if (!isWhole || (kind !== "number" && kind !== "string")) throw new Error("This is no key of a seat.");
  const room: Room = kind === "number" ? { kind, id: Number(id) } : { kind, id };
  return { sdkAppId: Number(sdkAppId), room, userId };
}
