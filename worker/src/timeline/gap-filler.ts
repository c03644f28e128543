import type { MediaTag } from "../media/media-tag.ts";

/** One generated frame and its duration. */
export interface FillFrame {
  readonly payload: Buffer;
  readonly durationMs: number;
}

/** Makes the pictures and the sound that a room gets while its source delivers nothing. */
export interface GapFiller {
  /**
   * Takes a tag that is sent. The filler must get every such tag, so that it knows what to repeat and in which format.
   */
  observe(tag: MediaTag): void;
  /** Returns a picture that looks like the last one, or undefined if none can be made for this stream. */
  picture(): FillFrame | undefined;
  /** Returns a frame of silence, or undefined if none can be made for this stream. */
  silence(): FillFrame | undefined;
}

/** A filler that makes nothing, so that gaps stay gaps. */
export const NO_FILLER: GapFiller = {
  observe: () => {},
  picture: () => undefined,
  silence: () => undefined,
};
