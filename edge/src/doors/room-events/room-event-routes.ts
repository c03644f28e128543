import { RoomcastError } from "@roomcast/shared";
import { Hono } from "hono";
import type { AppContext } from "../../http/app-context.ts";
import { parseJson, readText } from "../../http/read-json.ts";
import { readRoomEvent } from "../../model/room-event.ts";
import { eventKeys } from "./event-keys.ts";
import { isSignedWith } from "./event-signature.ts";

/**
 * `POST /v1/trtc/events`: TRTC sends the callbacks of an application's rooms here. Each callback is authenticated by its
 * signature.
 */
export const roomEventRoutes = new Hono<AppContext>().post("/events", async (c) => {
  const sdkAppId = Number(/^[0-9]{1,10}$/.exec(c.req.header("SdkAppId") ?? "")?.[0] ?? Number.NaN);
  const body = await readText(c.req.raw);
  const sign = c.req.header("Sign") ?? "";
  const keys = Number.isNaN(sdkAppId) || sign === "" ? [] : await eventKeys(c.env, sdkAppId);
  const signed = await Promise.all(keys.map((key) => isSignedWith(body, sign, key)));
  if (!signed.includes(true)) throw notSigned();
  const event = readRoomEvent(parseJson(body, c.req.raw.headers));
  if (event !== null) {
    const { tasks, others } = await c.env.DIRECTORY.getByName(String(sdkAppId)).roomEvent(sdkAppId, event);
    const { kind, atMs, removed } = event;
    await Promise.all(
      tasks.map(({ taskId, userId }) =>
        c.env.TASK.getByName(taskId).roomEvent({ kind, atMs, removed, others, own: userId === event.userId }),
      ),
    );
  }
  return c.json({ code: 0 });
});

function notSigned(): RoomcastError {
  return new RoomcastError(
    "AuthFailure.SignatureFailure",
    "The event is not signed with a key of this application: its header Sign must be base64 of HMAC-SHA256 over the body, with the key in TRTC_CALLBACK_KEYS or that of the application's callback.",
  );
}
