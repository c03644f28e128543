import type { FragmentLane } from "./movie-fragment.ts";

/** Makes tags of the samples of one track. */
export interface SampleTaker {
  /** Returns a payload into which a sample of the given size is to be written after `offset`. */
  room(bytes: number): { readonly payload: Buffer; readonly offset: number };
  give(payload: Buffer, dtsMs: number, ptsMs: number): void;
}

export interface MediaLane extends FragmentLane {
  readonly samples: SampleTaker;
}
