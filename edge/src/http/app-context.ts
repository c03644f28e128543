import type { Caller } from "../auth/caller.ts";
import type { Env } from "../contracts/env.ts";

/** Of each answer; its value is `requestId`. */
export const REQUEST_ID_HEADER = "x-request-id";

/** Of the answer to a create: what may go wrong with the task though it was accepted. */
export const WARNING_HEADER = "x-roomcast-warning";

/** What Hono's handlers find in their context. */
export interface AppContext {
  Bindings: Env;
  Variables: {
    /** A new UUID for each HTTP request. */
    requestId: string;
    caller: Caller;
  };
}
