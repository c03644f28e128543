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

/** How long a create waits for the Keyring. */
const KEYRING_PATIENCE_MS = 1000;

/** @throws RoomcastError `InvalidParameterValue` */
export function checkCallbackUrl(field: string, url: string, { callbackAllow }: Pick<Config, "callbackAllow">): void {
  const expected = judgeCallbackUrl(url, callbackAllow);
  if (expected === null) return;
  throw new RoomcastError("InvalidParameterValue", `${field} is invalid: expected ${expected}.`, {
    fields: [{ field, problem: "invalid", expected }],
  });
}

/** Where a new task's events go: where its request says, else where its application's go; null: nowhere. */
export async function callbackTarget(env: Env, request: PushRequest, taskId: string): Promise<CallbackTarget | null> {
  const { CallbackUrl: url, CallbackKey: key, CallbackEvents: events } = request;
  if (url !== undefined && key !== undefined) {
    const sealed = await seal({ url, key }, readConfig(env).sealKeys, taskCallbackSubject(taskId));
    return { kind: "request", events: events ?? "trtc", sealed };
  }
  const callbacks = await knownCallbacks(env);
  // Where the events go is looked up again when they are sent, and nothing is sent if no callback is set then.
  if (callbacks === null) return { kind: "app", events: "trtc" };
  const ofApp = callbacks.find(({ sdkAppId }) => sdkAppId === request.SdkAppId);
  return ofApp === undefined ? null : { kind: "app", events: ofApp.events };
}

/**
 * The callbacks of applications. A push must not fail, nor wait long, because the Keyring does not answer: what this
 * isolate knew last counts then, however old it is. Null if it has never known any.
 */
async function knownCallbacks(env: Env): Promise<KeyringSnapshot["callbacks"] | null> {
  try {
    return (await answerInTime(currentKeyring(env), KEYRING_PATIENCE_MS)).callbacks;
  } catch (thrown) {
    warn("callbacks not read from the Keyring", thrown);
    return lastKnownKeyring()?.callbacks ?? null;
  }
}

/** The request as its worker gets it: what the edge alone needs stays here. */
export function forWorker(request: PushRequest): PushRequest {
  const { CallbackUrl: _url, CallbackKey: _key, CallbackEvents: _events, ...rest } = request;
  return rest;
}
