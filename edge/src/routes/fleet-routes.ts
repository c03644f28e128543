import { RoomcastError, regionName, validate, verifyWorkerToken } from "@roomcast/shared";
import { Hono } from "hono";
import { z } from "zod";
import { readConfig } from "../config.ts";
import type { AppContext } from "../http/app-context.ts";
import { REGION_HEADER, WORKER_ID_HEADER } from "../region/region.ts";

const querySchema = z.strictObject({ region: regionName });

/** `GET /v1/fleet/connect?region=…`: where a worker dials in, with its own kind of token. */
export const fleetRoutes = new Hono<AppContext>().get("/connect", async (c) => {
  const [scheme = "", token = ""] = (c.req.header("Authorization") ?? "").split(" ");
  if (scheme.toLowerCase() !== "bearer") {
    throw new RoomcastError(
      "AuthFailure.InvalidWorkerToken",
      "The worker token is missing: expected `Bearer <token>`.",
    );
  }
  const identity = await verifyWorkerToken(token, readConfig(c.env).workerTokenKey);
  const { region } = validate(querySchema, c.req.query());
  if (!identity.regions.includes(region)) {
    throw new RoomcastError("AuthFailure.InvalidWorkerToken", `The worker token is not for region ${region}.`);
  }
  if (c.req.header("Upgrade")?.toLowerCase() !== "websocket") {
    throw new RoomcastError("UnsupportedOperation", "This address is for WebSockets: expected `Upgrade: websocket`.");
  }
  const request = new Request(c.req.raw, {
    headers: { Upgrade: "websocket", [WORKER_ID_HEADER]: identity.workerId, [REGION_HEADER]: region },
  });
  return c.env.REGION.getByName(region).fetch(request);
});
