import type { RoomcastError } from "@roomcast/shared";

/** How a programme ended. */
export type PlayerEnd =
  | { readonly name: "finished" }
  | { readonly name: "aborted"; readonly reason: string }
  | { readonly name: "failed"; readonly error: RoomcastError };
