import { checkUserSig, RoomcastError, type Seat } from "@roomcast/shared";
import type { EmulatedApps } from "./emulated-apps.ts";
import { BAD_NAME, DENIED, type PushRefusal } from "./push-refusal.ts";
import { readStreamKey } from "./stream-key.ts";

export type Admission =
  | { readonly ok: true; readonly seat: Seat }
  /** The seat is known where the stream key could be read. */
  | { readonly ok: false; readonly refusal: PushRefusal; readonly seat: Seat | null };

/** Decides whether a stream key opens a seat: readable, a known application, and a UserSig that this app signed. */
export async function admit(streamKey: string, apps: EmulatedApps, nowMs: number): Promise<Admission> {
  const read = readStreamKey(streamKey);
  if (!read.ok) return { ...read, seat: null };
  const { seat, userSig } = read.key;
  const secretKey = Object.hasOwn(apps, seat.sdkAppId) ? apps[seat.sdkAppId] : undefined;
  if (secretKey === undefined) {
    const description = `sdkappid ${seat.sdkAppId} is not an application of this emulator.`;
    return { ok: false, seat, refusal: { code: BAD_NAME, description } };
  }
  try {
    await checkUserSig({ userSig, userId: seat.userId, sdkAppId: seat.sdkAppId, nowMs, secretKey });
    return { ok: true, seat };
  } catch (thrown) {
    if (!(thrown instanceof RoomcastError)) throw thrown;
    return { ok: false, seat, refusal: { code: DENIED, description: `${thrown.code}: ${thrown.message}` } };
  }
}
