import { z } from "zod";
import { readConfig } from "../base/config.ts";
import { openSealed, seal } from "../base/seal.ts";
import { currentKeyring } from "../caches/keyring-cache.ts";
import type { Env } from "../contracts/env.ts";
import type { CallbackTarget } from "../model/callback-target.ts";
import { callbackSubject, taskCallbackSubject } from "../model/seal-subject.ts";
import type { CallbackTask } from "./callback-body.ts";

import type { CallbackAddress } from "./send-callback.ts";

const addressSchema = z.object({ url: z.string(), key: z.string() });

export interface FoundAddress extends CallbackAddress {
  /** The request's address sealed with the newest key, if it was sealed with an older one; otherwise null. */
  readonly resealed: string | null;
}

/**
 * Returns the address that a task's events are sent to; null if the application's callback was removed.
 *
 * @throws RoomcastError `InternalError` if the sealed address cannot be opened.
 */
export async function callbackAddress(
  env: Env,
  target: CallbackTarget,
  { taskId, sdkAppId }: CallbackTask,
): Promise<FoundAddress | null> {
  const { sealKeys } = readConfig(env);
  if (target.kind === "request") {
    const subject = taskCallbackSubject(taskId);
    const { value, stale } = await openSealed(target.sealed, sealKeys, subject);
    return { ...addressSchema.parse(value), resealed: stale ? await seal(value, sealKeys, subject) : null };
  }
  const { callbacks } = await currentKeyring(env);
  const callback = callbacks.find((stored) => stored.sdkAppId === sdkAppId);
  if (callback === undefined) return null;
  const { value } = await openSealed(callback.sealed, sealKeys, callbackSubject(sdkAppId));
  return { ...addressSchema.parse(value), resealed: null };
}
