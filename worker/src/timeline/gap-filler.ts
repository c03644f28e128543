import type { MediaTag } from "../media/media-tag.ts";

/** One frame that was made here, and how long it lasts. */
export interface FillFrame {
  readonly payload: Buffer;
  readonly durationMs: number;
}

/** Makes what the room sees and hears while no source gives anything. */
export interface GapFiller {
  /** Sees every tag that is sent, so that it knows what to repeat and in which format. */
  observe(tag: MediaTag): void;
  /** A picture equal to the last one; undefined: it cannot be made for this stream. */
  picture(): FillFrame | undefined;
  /** A frame of silence; undefined: it cannot be made for this stream. */
  silence(): FillFrame | undefined;
}

/** Fills nothing: gaps stay gaps. */
export const NO_FILLER: GapFiller = {
  observe: () => {},
  picture: () => undefined,
  silence: () => undefined,
};
