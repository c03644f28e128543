import type { Seat } from "@roomcast/shared";
import { BAD_NAME, type PushRefusal } from "./push-refusal.ts";

/** The seat and the credentials that a TRTC push address contains. */
export interface StreamKey {
  readonly seat: Seat;
  readonly userSig: string;
  /** Permission for the room, where one is given. */
  readonly mapKey?: string;
}

export type ReadStreamKey =
  | { readonly ok: true; readonly key: StreamKey }
  | { readonly ok: false; readonly refusal: PushRefusal };

const MAX_KEY_LENGTH = 8192;
const OPTIONAL = new Set(["use_number_room_id", "private_map_key"]);
const MAX_ROOM_NUMBER = 4_294_967_294;
const MAX_SDK_APP_ID = 4_294_967_295;

/**
 * Reads `<room>?sdkappid=…&userid=…&usersig=…[&use_number_room_id=1][&private_map_key=…]`. Pure; the refusal names the part that is wrong
 * and never repeats a value.
 */
export function readStreamKey(text: string): ReadStreamKey {
  if (text.length > MAX_KEY_LENGTH) return refused(`The stream key is longer than ${MAX_KEY_LENGTH} characters.`);
  const mark = text.indexOf("?");
  if (mark < 0) return refused("The stream key has no query: expected <room>?sdkappid=…&userid=…&usersig=….");
  const roomText = text.slice(0, mark);
  const query = new URLSearchParams(text.slice(mark + 1));
  for (const name of ["sdkappid", "userid", "usersig", "use_number_room_id", "private_map_key"]) {
    const count = query.getAll(name).length;
    if (count > 1) return refused(`${name} is given ${count} times: expected once.`);
    if (count === 0 && !OPTIONAL.has(name)) return refused(`${name} is missing in the stream key's query.`);
  }
  const sdkAppId = readNumber(query.get("sdkappid") ?? "", MAX_SDK_APP_ID);
  if (sdkAppId === undefined) return refused(`sdkappid is invalid: expected an integer from 1 to ${MAX_SDK_APP_ID}.`);
  const userId = query.get("userid") ?? "";
  if (!/^[A-Za-z0-9_-]{1,32}$/.test(userId)) {
    return refused("userid is invalid: expected 1 to 32 letters, digits, hyphens or underscores.");
  }
  const userSig = query.get("usersig") ?? "";
  if (userSig === "") return refused("usersig is empty: expected the UserSig of userid.");
  const mapKey = query.get("private_map_key");
  const signatures = { userSig, ...(mapKey === null ? {} : { mapKey }) };
  const numberRoom = query.get("use_number_room_id") ?? "0";
  if (numberRoom !== "0" && numberRoom !== "1") return refused("use_number_room_id is invalid: expected 1 or 0.");
  if (numberRoom === "1") {
    const id = readNumber(roomText, MAX_ROOM_NUMBER);
    if (id === undefined) {
      return refused(
        `The room is invalid: with use_number_room_id=1 expected an integer from 1 to ${MAX_ROOM_NUMBER}.`,
      );
    }
    return { ok: true, key: { seat: { sdkAppId, userId, room: { kind: "number", id } }, ...signatures } };
  }
  if (!/^[A-Za-z0-9_]{1,64}$/.test(roomText)) {
    return refused("The room is invalid: expected 1 to 64 letters, digits or underscores.");
  }
  return { ok: true, key: { seat: { sdkAppId, userId, room: { kind: "string", id: roomText } }, ...signatures } };
}

function readNumber(text: string, max: number): number | undefined {
  // Leading zeros would make two texts of one room.
  if (!/^[1-9][0-9]{0,9}$/.test(text)) return undefined;
  const number = Number(text);
  return number <= max ? number : undefined;
}

function refused(description: string): ReadStreamKey {
  return { ok: false, refusal: { code: BAD_NAME, description } };
}
