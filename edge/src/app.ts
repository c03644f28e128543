import { RoomcastError } from "@roomcast/shared";
import { Hono } from "hono";
import { readConfig } from "./base/config.ts";
import { fleetRoutes } from "./doors/fleet/fleet-routes.ts";
import { adminOnly } from "./doors/plain/admin-only.ts";
import { auditRoutes } from "./doors/plain/audit-routes.ts";
import { authenticate } from "./doors/plain/authenticate.ts";
import { callbackRoutes } from "./doors/plain/callback-routes.ts";
import { credentialRoutes } from "./doors/plain/credential-routes.ts";
import { healthRoutes } from "./doors/plain/health-routes.ts";
import { limitRate } from "./doors/plain/limit-rate.ts";
import { pushRoutes } from "./doors/plain/push-routes.ts";
import { regionRoutes } from "./doors/plain/region-routes.ts";
import { taskRoutes } from "./doors/plain/task-routes.ts";
import { workerRoutes } from "./doors/plain/worker-routes.ts";
import { workerTokenRoutes } from "./doors/plain/worker-token-routes.ts";
import { roomEventRoutes } from "./doors/room-events/room-event-routes.ts";
import { tencentRoutes } from "./doors/tencent/tencent-routes.ts";
import { type AppContext, REQUEST_ID_HEADER } from "./http/app-context.ts";
import { crossOrigin } from "./http/cross-origin.ts";
import { errorResponse } from "./http/error-response.ts";

/** The methods that each address accepts, so that a wrong method is answered with 405 instead of 404. */
const METHODS: readonly { readonly path: RegExp; readonly allow: string }[] = [
  { path: /^\/(push)?$/, allow: "POST" },
  { path: /^\/v1\/tasks(\/[^/]+\/logs)?$/, allow: "GET" },
  { path: /^\/v1\/tasks\/[^/]+$/, allow: "GET, PATCH, DELETE" },
  { path: /^\/v1\/(credentials|worker-tokens)$/, allow: "GET, POST" },
  { path: /^\/v1\/credentials\/[^/]+\/rotate$/, allow: "POST" },
  { path: /^\/v1\/(credentials|worker-tokens)\/[^/]+$/, allow: "DELETE" },
  { path: /^\/v1\/callbacks\/[^/]+$/, allow: "GET, PUT, DELETE" },
  { path: /^\/v1\/audit$/, allow: "GET" },
  { path: /^\/v1\/trtc\/events$/, allow: "POST" },
  { path: /^\/v1\/workers\/[^/]+\/drain$/, allow: "POST, DELETE" },
  { path: /^\/(healthz|livez|readyz|v1\/workers|v1\/regions|v1\/fleet\/connect)$/, allow: "GET" },
];

/** The HTTP API. `errorResponse` answers everything that a handler throws. */
export const app = new Hono<AppContext>();

app.onError(errorResponse);
app.notFound((c) => {
  const methods = METHODS.find(({ path }) => path.test(c.req.path))?.allow;
  if (methods === undefined) {
    return errorResponse(new RoomcastError("ResourceNotFound.Route", "There is nothing at this address."), c);
  }
  const message = `This address does not take ${c.req.method}: expected ${methods}.`;
  const response = errorResponse(new RoomcastError("UnsupportedOperation", message), c);
  response.headers.set("Allow", methods);
  return response;
});

app.use(async (c, next) => {
  c.set("requestId", crypto.randomUUID());
  readConfig(c.env);
  await next();
  // The answer to a WebSocket upgrade is the socket itself and must not be changed. Adding the header to a finished answer
  // means copying the answer, so the handlers of frequent calls set the header themselves.
  if (c.res.status !== 101 && !c.res.headers.has(REQUEST_ID_HEADER)) c.header(REQUEST_ID_HEADER, c.get("requestId"));
});

app.use(crossOrigin);
app.route("/", healthRoutes);
app.route("/v1/fleet", fleetRoutes);
app.route("/v1/trtc", roomEventRoutes);

app.route("/", tencentRoutes);

app.on(["POST"], ["/", "/push"], authenticate, limitRate);
// The pattern `/v1/tasks/*` also matches `/v1/tasks`.
app.use("/v1/tasks/*", authenticate, limitRate);
app.use("/v1/regions", authenticate, limitRate);
app.use("/v1/workers/*", authenticate, limitRate);
app.route("/", pushRoutes);
app.route("/v1/tasks", taskRoutes);
app.route("/v1/workers", workerRoutes);
app.route("/v1/regions", regionRoutes);

for (const path of ["/v1/credentials/*", "/v1/worker-tokens/*", "/v1/callbacks/*", "/v1/audit"])
  app.use(path, authenticate, limitRate, adminOnly);
app.route("/v1/credentials", credentialRoutes);
app.route("/v1/worker-tokens", workerTokenRoutes);
app.route("/v1/callbacks", callbackRoutes);
app.route("/v1/audit", auditRoutes);
