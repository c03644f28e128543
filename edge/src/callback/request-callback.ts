import { type PushRequest, RoomcastError } from "@roomcast/shared";
import { type Config, readConfig } from "../base/config.ts";
import { seal } from "../base/seal.ts";
import { currentKeyring } from "../caches/keyring-cache.ts";
import type { Env } from "../contracts/env.ts";
import type { CallbackTarget } from "../model/callback-target.ts";
import { taskCallbackSubject } from "../model/seal-subject.ts";
import { judgeCallbackUrl } from "./callback-url.ts";

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
  const { callbacks } = await currentKeyring(env);
  const ofApp = callbacks.find(({ sdkAppId }) => sdkAppId === request.SdkAppId);
  return ofApp === undefined ? null : { kind: "app", events: ofApp.events };
}

/** The request as its worker gets it: what the edge alone needs stays here. */
export function forWorker(request: PushRequest): PushRequest {
  const { CallbackUrl: _url, CallbackKey: _key, CallbackEvents: _events, ...rest } = request;
  return rest;
}
