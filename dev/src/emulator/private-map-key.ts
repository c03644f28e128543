import { checkUserSig, type Seat, type UserSigFields } from "@roomcast/shared";

/** Bits of a permission key's privileges: to enter the room, to send audio, to send video. */
const ENTER = 2;
const SEND_AUDIO = 4;
const SEND_VIDEO = 16;
const NEEDED = ENTER | SEND_AUDIO | SEND_VIDEO;

/** The contents of a permission key's user buffer. */
interface Permission {
  readonly room: Seat["room"];
  readonly expiresAtS: number;
  readonly privileges: number;
}

export interface CheckMapKeyOptions {
  readonly mapKey: string;
  readonly seat: Seat;
  readonly nowMs: number;
  readonly secretKey: string;
}

/**
 * Checks whether a permission key lets a user send into a room: a UserSig whose user buffer names the room.
 *
 * @returns what is wrong with it; null where nothing is.
 * @throws RoomcastError for a key that is unreadable, expired, of another user or wrongly signed.
 */
export async function mapKeyProblem({ mapKey, seat, nowMs, secretKey }: CheckMapKeyOptions): Promise<string | null> {
  const fields = await checkUserSig({
    userSig: mapKey,
    userId: seat.userId,
    sdkAppId: seat.sdkAppId,
    nowMs,
    secretKey,
  });
  const permission = readPermission(fields);
  if (permission === null) return "it names no room";
  if (permission.room.kind !== seat.room.kind || permission.room.id !== seat.room.id) return "it is for another room";
  if (permission.expiresAtS * 1000 <= nowMs) return "it has expired";
  return (permission.privileges & NEEDED) === NEEDED ? null : "it does not allow to enter and to send";
}

/**
 * The layout of Tencent's generator: version (1: a string room), the user's name with its length, SdkAppId, integer room,
 * expiry, privileges and account type of four bytes each, then the string room with its length.
 */
function readPermission({ userBuffer }: UserSigFields): Permission | null {
  if (userBuffer === undefined) return null;
  const bytes = Buffer.from(userBuffer, "base64");
  if (bytes.length < 3) return null;
  const at = 3 + bytes.readUInt16BE(1);
  if (bytes.length < at + 20) return null;
  const permission = { expiresAtS: bytes.readUInt32BE(at + 8), privileges: bytes.readUInt32BE(at + 12) };
  if (bytes[0] === 0) return { ...permission, room: { kind: "number", id: bytes.readUInt32BE(at + 4) } };
  if (bytes.length < at + 22) return null;
  const id = bytes.toString("utf8", at + 22, at + 22 + bytes.readUInt16BE(at + 20));
  return { ...permission, room: { kind: "string", id } };
}
