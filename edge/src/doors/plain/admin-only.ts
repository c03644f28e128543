import { createMiddleware } from "hono/factory";
import { requireRole } from "../../auth/caller.ts";
import type { AppContext } from "../../http/app-context.ts";

/**
 * Admits only admins to the routes that operate the edge. The answers must not be cached, because some of them contain secrets.
 */
export const adminOnly = createMiddleware<AppContext>(async (c, next) => {
  requireRole(c.get("caller"), "admin");
  await next();
  c.header("Cache-Control", "no-store");
});
