import type { RegionList } from "@roomcast/shared";
import { Hono } from "hono";
import { ROOT } from "../../contracts/root-registry.ts";
import type { AppContext } from "../../http/app-context.ts";

/** `GET /v1/regions`: every region that has ever had a worker, with its capacity. */
export const regionRoutes = new Hono<AppContext>().get("/", async (c) => {
  const names = await c.env.DIRECTORY.getByName(ROOT).known("region");
  const { sdkAppIds: apps } = c.get("caller");
  const regions = await Promise.all(names.map((region) => c.env.REGION.getByName(region).summary(region, apps)));
  return c.json({ regions } satisfies RegionList);
});
