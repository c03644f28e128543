import type { ByteRange } from "./media-playlist.ts";

export type HlsTrack = "main" | "audio";

/** One segment of a rendition, whose body has begun to arrive. */
export interface HlsSegment {
  readonly track: HlsTrack;
  readonly sequence: number;
  /**
   * The segment's beginning on the presentation's clock, which all its renditions share, ms. 0 is the beginning of a
   * recorded playlist, or of the first playlist that was read of a live stream. The clock continues if the sequence
   * numbers restart.
   */
  readonly startMs: number;
  readonly durationMs: number;
  /**
   * True if the segment does not continue the previous one: the playlist says so, the initialisation segments differ,
   * the segment follows a gap, or it is from another variant. Timestamps and format may then differ. The first segment
   * also counts as a discontinuity.
   */
  readonly discontinuity: boolean;
  readonly programDateTimeMs: number | null;
  /**
   * The decrypted initialisation segment, or null if the segment needs none. Segments with the same initialisation
   * segment share one Buffer object.
   */
  readonly init: Buffer | null;
  /** The segment's URL without secrets. */
  readonly url: string;
  /** The segment's bytes within its file, or null if it is the whole file. */
  readonly range: ByteRange | null;
  /**
   * Returns the decrypted bytes of the segment. The method may be called once, even while the previous segment's body
   * is still being read. A connection that breaks is opened again at the next byte.
   *
   * @throws RoomcastError `SourceLost` while iterating; the signal's reason if the signal aborts
   */
  open(signal: AbortSignal): AsyncIterable<Buffer>;
}
