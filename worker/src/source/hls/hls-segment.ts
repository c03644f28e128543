import type { ByteRange } from "./media-playlist.ts";

export type HlsTrack = "main" | "audio";

/** One segment of a rendition, whose body has begun to come. */
export interface HlsSegment {
  readonly track: HlsTrack;
  readonly sequence: number;
  /**
   * Its beginning on the presentation's clock, which all its renditions share, ms. Recorded: 0 is the beginning of the
   * playlist. Live: 0 is the beginning of the first list that was seen, and the clock goes on where the numbers begin again.
   */
  readonly startMs: number;
  readonly durationMs: number;
  /**
   * It does not continue the segment that was given before it: declared so, or with another initialisation segment, after
   * a gap, from another variant. Its timestamps and its format may be others. True for the first one.
   */
  readonly discontinuity: boolean;
  readonly programDateTimeMs: number | null;
  /** The initialisation segment, decrypted. The same object as long as it is the same. */
  readonly init: Buffer | null;
  /** As it may be shown. */
  readonly url: string;
  /** The bytes of its file that it is; null: all of them. */
  readonly range: ByteRange | null;
  /**
   * Its bytes, decrypted. May be called once, also while the body of the segment before is still being read. A connection
   * that breaks is opened again at the next byte.
   *
   * @throws RoomcastError `SourceLost` while iterating; the signal's reason when that aborts
   */
  open(signal: AbortSignal): AsyncIterable<Buffer>;
}
