import { z } from "zod";
import { callbackSubject } from "../admin/callback-store.ts";
import { currentKeyring } from "../auth/keyring-cache.ts";
import { readConfig } from "../config.ts";
import type { Env } from "../env.ts";
import { unseal } from "../seal.ts";
import type { CallbackTask } from "./callback-body.ts";
import { type CallbackTarget, taskCallbackSubject } from "./outbox.ts";
import type { CallbackAddress } from "./send-callback.ts";

const addressSchema = z.object({ url: z.string(), key: z.string() });

/**
 * Where a task's events go now. Null: nowhere, the application's callback was removed.
 *
 * @throws RoomcastError `InternalError` when what is sealed cannot be opened.
 */
export async function callbackAddress(
  env: Env,
  target: CallbackTarget,
  { taskId, sdkAppId }: CallbackTask,
): Promise<CallbackAddress | null> {
  const { sealKeys } = readConfig(env);
  if (target.kind === "request") {
    return addressSchema.parse(await unseal(target.sealed, sealKeys, taskCallbackSubject(taskId)));
  }
  const { callbacks } = await currentKeyring(env);
  const callback = callbacks.find((stored) => stored.sdkAppId === sdkAppId);
  if (callback === undefined) return null;
  return addressSchema.parse(await unseal(callback.sealed, sealKeys, callbackSubject(sdkAppId)));
}
