import { RoomcastError, regionName, validate, verifyWorkerToken } from "@roomcast/shared";
import { Hono } from "hono";
import { z } from "zod";
import { readConfig } from "../../base/config.ts";
import { KEYRING } from "../../contracts/keyring-object.ts";
import { REGION_HEADER, WORKER_ID_HEADER } from "../../contracts/region-object.ts";
import type { AppContext } from "../../http/app-context.ts";

const querySchema = z.strictObject({ region: regionName });

/** `GET /v1/fleet/connect?region=…`: a worker connects here with its worker token. */
export const fleetRoutes = new Hono<AppContext>().get("/connect", async (c) => {
  const [scheme = "", token = ""] = (c.req.header("Authorization") ?? "").split(" ");
  if (scheme.toLowerCase() !== "bearer") {
    throw new RoomcastError(
      "AuthFailure.InvalidWorkerToken",
      "The worker token is missing: expected `Bearer <token>`.",
    );
  }
  const identity = await verifyWorkerToken(token, readConfig(c.env).workerTokenKeys);
  const keyring = c.env.KEYRING.getByName(KEYRING);
  if (!(await keyring.admitsWorker(identity.workerId, identity.tokenId))) throw revoked();
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
  const regionObject = c.env.REGION.getByName(region);
  const response = await regionObject.fetch(request);
  // If the token is revoked after this check, the revocation finds the socket and closes it. If the token was revoked before
  // this check, the socket is closed here.
  if (await keyring.admitsWorker(identity.workerId, identity.tokenId)) return response;
  await regionObject.disconnect(identity.workerId, REVOKED);
  throw revoked();
});

const REVOKED = "The worker token was revoked.";

function revoked(): RoomcastError {
  const remedy = "mint a new one with POST /v1/worker-tokens";
  return new RoomcastError("AuthFailure.InvalidWorkerToken", `${REVOKED} To let the worker in again, ${remedy}.`);
}
