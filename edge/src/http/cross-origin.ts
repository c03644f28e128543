import { cors } from "hono/cors";
import { createMiddleware } from "hono/factory";
import { readConfig } from "../base/config.ts";
import { type AppContext, REQUEST_ID_HEADER, WARNING_HEADER } from "./app-context.ts";

/**
 * Answers the CORS checks of browsers. Pages of a listed origin may call with the Authorization header, but never with the
 * browser's own credentials, such as cookies.
 */
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

/**
 * Cross-origin resource sharing for the origins in `CORS_ORIGINS`. The answer to a WebSocket upgrade is the socket itself, to
 * which no headers can be added.
 */
export const crossOrigin = createMiddleware<AppContext>(async (c, next) => {
  const isOff = readConfig(c.env).corsOrigins.length === 0;
  if (isOff || c.req.header("Origin") === undefined || c.req.header("Upgrade") !== undefined) return next();
  return allowed(c, next);
});
