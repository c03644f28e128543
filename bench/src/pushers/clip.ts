import type { Stack } from "@roomcast/dev/stack/stack";

/** Puts a clip on the stack's server and answers its URL, a new one at each call. */
export type Clip = (stack: Stack) => string;

export function fileClip(path: string): Clip {
  return ({ files }) => files.serve(path);
}

/** An HLS recording with its segments beside its playlist. */
export function playlistClip(path: string): Clip {
  return ({ files }) => files.servePlaylist(path);
}
