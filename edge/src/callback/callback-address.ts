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
  /** Where the request's own was sealed with an older key: the same, sealed with the newest. */
  readonly sealedAnew: string | null;
}

/**
 * Where a task's events go now. Null: nowhere, the application's callback was removed.
 *
 * @throws RoomcastError `InternalError` when what is sealed cannot be opened.
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
    return { ...addressSchema.parse(value), sealedAnew: stale ? await seal(value, sealKeys, subject) : null };
  }
  const { callbacks } = await currentKeyring(env);
  const callback = callbacks.find((stored) => stored.sdkAppId === sdkAppId);
  if (callback === undefined) return null;
  const { value } = await openSealed(callback.sealed, sealKeys, callbackSubject(sdkAppId));
  return { ...addressSchema.parse(value), sealedAnew: null };
}
