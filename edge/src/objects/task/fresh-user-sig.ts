import { mintUserSig, type PushRequest } from "@roomcast/shared";

const WEEK_S = 7 * 24 * 3600;

/**
 * Returns the request with a new UserSig if the application's SecretKey is known, so that the worker can enter the room
 * again after the caller's UserSig has expired.
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
