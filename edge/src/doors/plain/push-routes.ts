import { Hono } from "hono";
import { type AppContext, REQUEST_ID_HEADER, WARNING_HEADER } from "../../http/app-context.ts";
import { readJson } from "../../http/read-json.ts";
import { warningHeader } from "../../model/task-warnings.ts";
import { createPush } from "../../operations/create-push.ts";

/** `POST /` and `POST /push`: a push in the form of the call to the cloud-function template. */
export const pushRoutes = new Hono<AppContext>().on("POST", ["/", "/push"], async (c) => {
  const { taskId, warnings } = await createPush(c.env, {
    input: await readJson(c.req.raw),
    caller: c.get("caller"),
    idempotencyKey: c.req.header("Idempotency-Key"),
    regionHeader: c.req.header("X-TC-Region"),
    cf: c.req.raw.cf,
  });
  // `c.text` would build two sets of headers, which takes a twentieth of a create's time.
  const headers = {
    "Content-Type": "text/plain; charset=UTF-8",
    "x-scf-reqid": taskId,
    [REQUEST_ID_HEADER]: c.get("requestId"),
    ...(warnings.length === 0 ? {} : { [WARNING_HEADER]: warningHeader(warnings) }),
  };
  return new Response("Async run task submitted", { headers });
});
