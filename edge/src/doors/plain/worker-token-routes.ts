import { mintWorkerToken, type NewWorkerToken, regionName, validate, workerIdSchema } from "@roomcast/shared";
import { Hono } from "hono";
import { createMiddleware } from "hono/factory";
import { z } from "zod";
import { requireAllApps } from "../../auth/caller.ts";
import { readConfig } from "../../base/config.ts";
import type { Env } from "../../contracts/env.ts";
import { KEYRING } from "../../contracts/keyring-object.ts";
import { ROOT } from "../../contracts/root-registry.ts";
import type { AppContext } from "../../http/app-context.ts";
import { readJson } from "../../http/read-json.ts";
import { full } from "./credential-routes.ts";

const DAY_S = 24 * 3600;
const LIFETIME_EXPECTED = `an integer from 60 to ${366 * DAY_S}, seconds`;
const REGIONS_EXPECTED = "a list of 1 to 32 regions";
const mintSchema = z.strictObject(
  {
    workerId: workerIdSchema,
    regions: z.array(regionName, REGIONS_EXPECTED).min(1, REGIONS_EXPECTED).max(32, REGIONS_EXPECTED),
    lifetimeS: z
      .int(LIFETIME_EXPECTED)
      .min(60, LIFETIME_EXPECTED)
      .max(366 * DAY_S, LIFETIME_EXPECTED)
      .default(30 * DAY_S),
  },
  "a JSON object",
);

const revokeSchema = z.strictObject({ workerId: workerIdSchema });

const allApps = createMiddleware<AppContext>(async (c, next) => {
  requireAllApps(c.get("caller"));
  await next();
});

/** `/v1/worker-tokens`: the tokens with which workers connect. */
export const workerTokenRoutes = new Hono<AppContext>()
  .use(allApps)
  .get("/", async (c) => c.json(await c.env.KEYRING.getByName(KEYRING).workerTokens()))
  .post("/", async (c) => {
    const wanted = validate(mintSchema, await readJson(c.req.raw));
    const added = await c.env.KEYRING.getByName(KEYRING).addWorkerToken(c.get("caller"), wanted);
    if (added.kind === "full") throw full("worker tokens");
    const { tokenId } = added.value;
    const [key] = readConfig(c.env).workerTokenKeys;
    const token = await mintWorkerToken({ ...wanted, tokenId, key });
    return c.json({ ...added.value, token } satisfies NewWorkerToken, 201);
  })
  .delete("/:workerId", async (c) => {
    const { workerId } = validate(revokeSchema, c.req.param());
    await c.env.KEYRING.getByName(KEYRING).revokeWorker(c.get("caller"), workerId);
    await disconnectWorker(c.env, workerId);
    return c.body(null, 204);
  });

/** Ends a worker's connections in every region. If a region does not answer, the call fails and can safely be repeated. */
async function disconnectWorker(env: Env, workerId: string): Promise<void> {
  const regions = await env.DIRECTORY.getByName(ROOT).known("region");
  await Promise.all(
    regions.map((region) => env.REGION.getByName(region).disconnect(workerId, "The worker's token was revoked.")),
  );
}
