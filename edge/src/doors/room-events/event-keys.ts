import { readConfig } from "../../base/config.ts";
import { openSealed } from "../../base/seal.ts";
import { currentKeyring } from "../../caches/keyring-cache.ts";
import type { Env } from "../../contracts/env.ts";
import { callbackSubject } from "../../model/seal-subject.ts";

/**
 * Returns the keys with which an application's events may be signed: the one in `TRTC_CALLBACK_KEYS` and that of the
 * application's callback. They are often the same.
 */
export async function eventKeys(env: Env, sdkAppId: number): Promise<readonly string[]> {
  const { trtcCallbackKeys, sealKeys } = readConfig(env);
  const own = trtcCallbackKeys.get(sdkAppId);
  const { callbacks } = await currentKeyring(env);
  const callback = callbacks.find((stored) => stored.sdkAppId === sdkAppId);
  if (callback === undefined) return own === undefined ? [] : [own];
  const { value } = await openSealed(callback.sealed, sealKeys, callbackSubject(sdkAppId));
  const key = typeof value === "object" && value !== null && "key" in value ? value.key : null;
  return [own, key].filter((text) => typeof text === "string");
}
