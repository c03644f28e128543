import { Hono } from "hono";
import type { AppContext } from "../http/app-context.ts";
import { readJson } from "../http/read-json.ts";
import { createPush } from "../push/create-push.ts";

/** `POST /` and `POST /push`: the call of the cloud-function template. */
export const pushRoutes = new Hono<AppContext>().on("POST", ["/", "/push"], async (c) => {
  const taskId = await createPush(c.env, {
    input: await readJson(c.req.raw),
    caller: c.get("caller"),
    idempotencyKey: c.req.header("Idempotency-Key"),
    regionHeader: c.req.header("X-TC-Region"),
    cf: c.req.raw.cf,
  });
  return c.text("Async run task submitted", 200, { "x-scf-reqid": taskId });
});
