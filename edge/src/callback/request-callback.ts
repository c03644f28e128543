import { type PushRequest, RoomcastError } from "@roomcast/shared";
import { answerInTime } from "../base/answer-in-time.ts";
import { type Config, readConfig } from "../base/config.ts";
import { seal } from "../base/seal.ts";
import { warn } from "../base/warn.ts";
import { currentKeyring, lastKnownKeyring } from "../caches/keyring-cache.ts";
import type { Env } from "../contracts/env.ts";
import type { KeyringSnapshot } from "../contracts/keyring-object.ts";
import type { CallbackTarget } from "../model/callback-target.ts";
import { taskCallbackSubject } from "../model/seal-subject.ts";
import { judgeCallbackUrl } from "./callback-url.ts";

/** The longest time that a create waits for the Keyring, in ms. */
const KEYRING_TIMEOUT_MS = 1000;

/** @throws RoomcastError `InvalidParameterValue` */
export function checkCallbackUrl(field: string, url: string, { callbackAllow }: Pick<Config, "callbackAllow">): void {
  const expected = judgeCallbackUrl(url, callbackAllow);
  if (expected === null) return;
  throw new RoomcastError("InvalidParameterValue", `${field} is invalid: expected ${expected}.`, {
    fields: [{ field, problem: "invalid", expected }],
  });
}

/** Returns where a new task's events go: to its request's callback, else to its application's; null if there is neither. */
export async function callbackTarget(env: Env, request: PushRequest, taskId: string): Promise<CallbackTarget | null> {
  const { CallbackUrl: url, CallbackKey: key, CallbackEvents: events } = request;
  if (url !== undefined && key !== undefined) {
    const sealed = await seal({ url, key }, readConfig(env).sealKeys, taskCallbackSubject(taskId));
    return { kind: "request", events: events ?? "trtc", sealed };
  }
  const callbacks = await knownCallbacks(env);
  // If the callbacks are unknown, the application is assumed to have one. The callback is looked up again when events are sent,
  // and if there is none, nothing is sent.
  if (callbacks === null) return { kind: "app", events: "trtc" };
  const ofApp = callbacks.find(({ sdkAppId }) => sdkAppId === request.SdkAppId);
  return ofApp === undefined ? null : { kind: "app", events: ofApp.events };
}

/**
 * Returns the callbacks of applications. If the Keyring does not answer in time, the last callbacks that this isolate knew are
 * used, however old they are, so that a push does not fail or wait long. Returns null if this isolate has never read any.
 */
async function knownCallbacks(env: Env): Promise<KeyringSnapshot["callbacks"] | null> {
  try {
    return (await answerInTime(currentKeyring(env), KEYRING_TIMEOUT_MS)).callbacks;
  } catch (thrown) {
    warn("callbacks not read from the Keyring", thrown);
    return lastKnownKeyring()?.callbacks ?? null;
  }
}

/** Returns the request for its worker, without the callback, which only the edge needs. */
export function forWorker(request: PushRequest): PushRequest {
  const { CallbackUrl: _url, CallbackKey: _key, CallbackEvents: _events, ...rest } = request;
  return rest;
}
