import { createMiddleware } from "hono/factory";
import { requireRole } from "../../auth/caller.ts";
import type { AppContext } from "../../http/app-context.ts";

/** For what operates the edge itself. Nothing that is answered here may be kept on the way: some of it is secret. */
export const adminOnly = createMiddleware<AppContext>(async (c, next) => {
  requireRole(c.get("caller"), "admin");
  await next();
  c.header("Cache-Control", "no-store");
});
