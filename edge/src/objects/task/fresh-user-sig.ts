import { mintUserSig, type PushRequest } from "@roomcast/shared";

const WEEK_S = 7 * 24 * 3600;

/**
 * The request with a UserSig of its own where the application's SecretKey is known, so that a room can be entered again
 * after the caller's has expired.
 */
export async function withFreshUserSig(
  request: PushRequest,
  trtcApps: ReadonlyMap<number, string>,
  nowMs: number,
): Promise<PushRequest> {
  const { SdkAppId: sdkAppId, UserId: userId } = request;
  const secretKey = trtcApps.get(sdkAppId);
  if (secretKey === undefined) return request;
  return { ...request, UserSig: await mintUserSig({ sdkAppId, userId, secretKey, lifetimeS: WEEK_S, nowMs }) };
}
