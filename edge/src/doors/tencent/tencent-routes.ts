import { Hono } from "hono";
import { findCredential } from "../../auth/find-credential.ts";
import type { AppContext } from "../../http/app-context.ts";
import { countCall } from "../plain/limit-rate.ts";
import { isTencentCall, parametersOf, readTencentCall } from "./call/tencent-call.ts";
import { findAction } from "./find-action.ts";
import { tc3Caller } from "./tc3-caller.ts";
import { answer, errorAnswer, type TencentService } from "./tencent-error.ts";

/** Tencent Cloud API 3.0 at `POST /` and `GET /`. Requests that are not calls of this API are passed on to the plain API. */
export const tencentRoutes = new Hono<AppContext>().on(["GET", "POST"], "/", async (c, next) => {
  if (!isTencentCall(c.req.raw)) return next();
  const requestId = c.get("requestId");
  let service: TencentService | null = null;
  try {
    const call = await readTencentCall(c.req.raw);
    const {
      caller,
      service: scope,
      signature,
    } = await tc3Caller({
      call,
      findCredential: (secretId) => findCredential(c.env, secretId),
      nowMs: Date.now(),
    });
    const found = findAction({ action: call.action, version: call.version, service: scope });
    service = found.service;
    countCall(c.env, caller, `${service}/${call.action}`);
    const content = await found.run({ env: c.env, caller, region: call.region, signature }, parametersOf(call));
    return answer(requestId, content);
  } catch (thrown) {
    return errorAnswer(requestId, thrown, service);
  }
});
