import { regionName, validate, type WorkerList } from "@roomcast/shared";
import { Hono } from "hono";
import { z } from "zod";
import { ROOT } from "../directory/directory.ts";
import type { AppContext } from "../http/app-context.ts";

const querySchema = z.strictObject({ Region: regionName.optional() });

/** `GET /v1/workers`: the connected workers of one region, or of all. */
export const workerRoutes = new Hono<AppContext>().get("/", async (c) => {
  const { Region } = validate(querySchema, c.req.query());
  const regions = Region === undefined ? await c.env.DIRECTORY.getByName(ROOT).known("region") : [Region];
  const lists = await Promise.all(regions.map((region) => c.env.REGION.getByName(region).workers(region)));
  return c.json({ workers: lists.flat() } satisfies WorkerList);
});
