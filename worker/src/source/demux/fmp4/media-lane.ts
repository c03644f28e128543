import type { FragmentLane } from "./movie-fragment.ts";

/** Takes the samples of one track, and gives them as tags. */
export interface SampleTaker {
  /** A payload in which a sample of so many bytes is to be written behind `offset`. */
  room(bytes: number): { readonly payload: Buffer; readonly offset: number };
  give(payload: Buffer, dtsMs: number, ptsMs: number): void;
}

export interface MediaLane extends FragmentLane {
  readonly samples: SampleTaker;
}
