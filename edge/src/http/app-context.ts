import type { Caller } from "../auth/caller.ts";
import type { Env } from "../contracts/env.ts";

/** The header of every answer with its `requestId`. */
export const REQUEST_ID_HEADER = "x-request-id";

/** The header with the warnings of a create. */
export const WARNING_HEADER = "x-roomcast-warning";

/** The variables in the context of Hono's handlers. */
export interface AppContext {
  Bindings: Env;
  Variables: {
    /** A new UUID for each HTTP request. */
    requestId: string;
    caller: Caller;
  };
}
