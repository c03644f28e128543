import { createMiddleware } from "hono/factory";
import { requireRole } from "../../auth/caller.ts";
import type { AppContext } from "../../http/app-context.ts";

/** Guards the routes that operate the edge. Their answers must not be cached, because some of them are secret. */
export const adminOnly = createMiddleware<AppContext>(async (c, next) => {
  requireRole(c.get("caller"), "admin");
  await next();
  c.header("Cache-Control", "no-store");
});
