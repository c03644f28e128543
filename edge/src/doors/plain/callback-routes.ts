import {
  callbackEvents,
  callbackKey,
  callbackUrl,
  RoomcastError,
  sdkAppId,
  shownOrigin,
  validate,
} from "@roomcast/shared";
import { type Context, Hono } from "hono";
import { z } from "zod";
import { maySee } from "../../auth/caller.ts";
import { readConfig } from "../../base/config.ts";
import { forgetKeyring } from "../../caches/keyring-cache.ts";
import { checkCallbackUrl } from "../../callback/request-callback.ts";
import { KEYRING } from "../../contracts/keyring-object.ts";
import type { AppContext } from "../../http/app-context.ts";
import { readJson } from "../../http/read-json.ts";
import { full } from "./credential-routes.ts";

const setSchema = z.strictObject(
  { Url: callbackUrl, Key: callbackKey, Events: callbackEvents.default("trtc") },
  "a JSON object",
);

/** `/v1/callbacks/:sdkAppId`: the callback of an application. */
export const callbackRoutes = new Hono<AppContext>()
  .get("/:sdkAppId", async (c) => {
    const callback = await c.env.KEYRING.getByName(KEYRING).callback(visibleApp(c));
    if (callback === null) throw notFound();
    return c.json(callback);
  })
  .put("/:sdkAppId", async (c) => {
    const app = visibleApp(c);
    const { Url: url, Key: key, Events: events } = validate(setSchema, await readJson(c.req.raw));
    checkCallbackUrl("Url", url, readConfig(c.env));
    const callback = { sdkAppId: app, url, key, events, shownUrl: shownOrigin(url) };
    const set = await c.env.KEYRING.getByName(KEYRING).setCallback(c.get("caller"), callback);
    if (set.kind === "full") throw full("callbacks");
    forgetKeyring();
    return c.json(set.value);
  })
  .delete("/:sdkAppId", async (c) => {
    if (!(await c.env.KEYRING.getByName(KEYRING).removeCallback(c.get("caller"), visibleApp(c)))) throw notFound();
    forgetKeyring();
    return c.body(null, 204);
  });

/**
 * Returns the application that the address names. If the caller may not see it, the answer is the same as for an application
 * without a callback.
 */
function visibleApp(c: Context<AppContext>): number {
  const parsed = sdkAppId.safeParse(Number(c.req.param("sdkAppId")));
  if (parsed.success && maySee(c.get("caller"), parsed.data)) return parsed.data;
  throw notFound();
}

function notFound(): RoomcastError {
  return new RoomcastError("ResourceNotFound.Callback", "No callback is set for this SdkAppId, or it is not yours.");
}
