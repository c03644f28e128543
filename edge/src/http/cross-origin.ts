import { cors } from "hono/cors";
import { createMiddleware } from "hono/factory";
import { readConfig } from "../base/config.ts";
import { type AppContext, REQUEST_ID_HEADER, WARNING_HEADER } from "./app-context.ts";

/** Pages of a listed origin may call with the Authorization header, never with the browser's credentials. */
const allowed = cors({
  origin: (origin, c) => {
    const { corsOrigins } = readConfig(c.env);
    if (corsOrigins === "*") return "*";
    return corsOrigins.includes(origin) ? origin : null;
  },
  allowMethods: ["GET", "POST", "PUT", "PATCH", "DELETE"],
  exposeHeaders: ["x-scf-reqid", REQUEST_ID_HEADER, WARNING_HEADER, "Retry-After", "Allow"],
  maxAge: 7200,
});

/** Cross-origin resource sharing for the origins in `CORS_ORIGINS`. The answer to an upgrade is the socket itself and gets no
 * headers.
 */
export const crossOrigin = createMiddleware<AppContext>(async (c, next) => {
  const isOff = readConfig(c.env).corsOrigins.length === 0;
  if (isOff || c.req.header("Origin") === undefined || c.req.header("Upgrade") !== undefined) return next();
  return allowed(c, next);
});
