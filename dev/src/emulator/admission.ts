import { checkUserSig, RoomcastError, type Seat } from "@roomcast/shared";
import type { EmulatedApps } from "./emulated-apps.ts";
import { mapKeyProblem } from "./private-map-key.ts";
import { BAD_NAME, DENIED, type PushRefusal } from "./push-refusal.ts";
import { readStreamKey } from "./stream-key.ts";

export type Admission =
  | { readonly ok: true; readonly seat: Seat }
  /** The seat is known where the stream key could be read. */
  | { readonly ok: false; readonly refusal: PushRefusal; readonly seat: Seat | null };

export interface AdmitOptions {
  readonly apps: EmulatedApps;
  readonly nowMs: number;
  /** Applications that demand a private_map_key. */
  readonly mapKeyApps: readonly number[];
}

/**
 * Decides whether a stream key opens a seat: readable, a known application, a UserSig that this app signed, and a
 * permission key for the room where the app demands one.
 */
export async function admit(streamKey: string, { apps, nowMs, mapKeyApps }: AdmitOptions): Promise<Admission> {
  const read = readStreamKey(streamKey);
  if (!read.ok) return { ...read, seat: null };
  const { seat, userSig, mapKey } = read.key;
  const secretKey = Object.hasOwn(apps, seat.sdkAppId) ? apps[seat.sdkAppId] : undefined;
  if (secretKey === undefined) {
    const description = `sdkappid ${seat.sdkAppId} is not an application of this emulator.`;
    return { ok: false, seat, refusal: { code: BAD_NAME, description } };
  }
  try {
    await checkUserSig({ userSig, userId: seat.userId, sdkAppId: seat.sdkAppId, nowMs, secretKey });
    if (!mapKeyApps.includes(seat.sdkAppId)) return { ok: true, seat };
    const problem = mapKey === undefined ? "it is missing" : await mapKeyProblem({ mapKey, seat, nowMs, secretKey });
    if (problem === null) return { ok: true, seat };
    const description = `private_map_key is not valid here: ${problem} (-100006).`;
    return { ok: false, seat, refusal: { code: DENIED, description } };
  } catch (thrown) {
    if (!(thrown instanceof RoomcastError)) throw thrown;
    return { ok: false, seat, refusal: { code: DENIED, description: `${thrown.code}: ${thrown.message}` } };
  }
}
