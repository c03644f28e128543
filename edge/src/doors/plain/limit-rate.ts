import { createMiddleware } from "hono/factory";
import { routePath } from "hono/route";
import type { Caller } from "../../auth/caller.ts";
import { RateLimiter } from "../../auth/rate-limiter.ts";
import { readConfig } from "../../base/config.ts";
import type { Env } from "../../contracts/env.ts";
import type { AppContext } from "../../http/app-context.ts";

const limiter = new RateLimiter();

/**
 * Counts a call of an authenticated credential, and refuses the call if there are too many. Calls are counted only after
 * authentication, so that a caller cannot use up the calls of a credential that is not theirs.
 *
 * @throws RoomcastError `RequestLimitExceeded`
 */
export function countCall(env: Env, caller: Caller, action: string): void {
  limiter.take(`${caller.secretId}/${action}`, { perSecond: readConfig(env).rateLimitPerSecond, nowMs: Date.now() });
}

/** Limits the rate at which a credential makes each call of the plain API. It runs after `authenticate`. */
export const limitRate = createMiddleware<AppContext>(async (c, next) => {
  countCall(c.env, c.get("caller"), `${c.req.method} ${routePath(c, -1)}`);
  await next();
});
