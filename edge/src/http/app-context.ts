import type { Caller } from "../auth/caller.ts";
import type { Env } from "../env.ts";

/** What Hono's handlers find in their context. */
export interface AppContext {
  Bindings: Env;
  Variables: {
    /** A new UUID for each HTTP request. */
    requestId: string;
    caller: Caller;
  };
}
