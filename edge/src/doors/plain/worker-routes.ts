import {
  PROTOCOL_VERSION,
  RoomcastError,
  regionName,
  VERSION,
  validate,
  type WorkerList,
  workerIdSchema,
} from "@roomcast/shared";
import { Hono } from "hono";
import { z } from "zod";
import { type Caller, requireAllApps, requireRole } from "../../auth/caller.ts";
import type { Env } from "../../contracts/env.ts";
import { KEYRING } from "../../contracts/keyring-object.ts";
import { ROOT } from "../../contracts/root-registry.ts";
import type { AppContext } from "../../http/app-context.ts";

const querySchema = z.strictObject({ Region: regionName.optional() });
const idSchema = z.strictObject({ id: workerIdSchema });

/** `/v1/workers`: lists the connected workers, and drains them. */
export const workerRoutes = new Hono<AppContext>()
  .get("/", async (c) => {
    const { Region } = validate(querySchema, c.req.query());
    const regions = await regionsOf(c.env, Region);
    const { sdkAppIds: apps } = c.get("caller");
    const lists = await Promise.all(regions.map((region) => c.env.REGION.getByName(region).workers(region, apps)));
    // Lost workers are shown only to callers for all applications, because the applications of their tasks are no longer known.
    const seen = apps === "*" ? regions : [];
    const lost = await Promise.all(seen.map((region) => c.env.REGION.getByName(region).lostWorkers(region)));
    const edge = { version: VERSION, protocol: PROTOCOL_VERSION };
    return c.json({ edge, workers: lists.flat(), lost: lost.flat() } satisfies WorkerList);
  })
  .post("/:id/drain", async (c) => {
    requireOperatorOfAll(c.get("caller"));
    const { id } = validate(idSchema, c.req.param());
    const found = await inAnyRegion(c.env, (region) => c.env.REGION.getByName(region).drain(id));
    if (!found) throw new RoomcastError("ResourceNotFound.Worker", `No worker ${id} is connected.`);
    await c.env.KEYRING.getByName(KEYRING).noteDrain(c.get("caller"), id, true);
    return c.json({ workerId: id, draining: true });
  })
  .delete("/:id/drain", async (c) => {
    requireOperatorOfAll(c.get("caller"));
    const { id } = validate(idSchema, c.req.param());
    const found = await inAnyRegion(c.env, (region) => c.env.REGION.getByName(region).undrain(id));
    if (!found) throw new RoomcastError("ResourceNotFound.Worker", `No worker ${id} is drained.`);
    await c.env.KEYRING.getByName(KEYRING).noteDrain(c.get("caller"), id, false);
    return c.json({ workerId: id, draining: false });
  });

/** Workers serve all applications, so only an admin of all of them may drain one. */
function requireOperatorOfAll(caller: Caller): void {
  requireRole(caller, "admin");
  requireAllApps(caller);
}

/**
 * Returns the known regions, or the named one if it is known. An unknown region is left out, so that a query does not create a
 * Region object for it.
 */
async function regionsOf(env: Env, only?: string): Promise<readonly string[]> {
  const known = await env.DIRECTORY.getByName(ROOT).known("region");
  return only === undefined ? known : known.filter((region) => region === only);
}

async function inAnyRegion(env: Env, act: (region: string) => Promise<boolean>): Promise<boolean> {
  return (await Promise.all((await regionsOf(env)).map(act))).includes(true);
}
