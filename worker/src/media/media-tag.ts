/**
 * One unit of media in the shape that FLV tags and RTMP messages share (Adobe FLV 10.1, E.4.2 and E.4.3), so that a
 * payload is passed from the demuxer to the socket without being copied or rewritten.
 */
export interface MediaTag {
  readonly kind: "audio" | "video";
  /** Decode time on the source's clock, ms; may be fractional or negative. */
  readonly dtsMs: number;
  /**
   * Position in the source, ms. It differs from `dtsMs` only if the source's clock has jumped and `dtsMs` was made
   * continuous.
   */
  readonly positionMs?: number;
  /** Video: presentation minus decode time, ms (0 without B-frames). Audio: 0. */
  readonly compositionMs: number;
  /** Video: true if it starts with an IDR picture. Audio: always true. */
  readonly keyframe: boolean;
  /** True for an AVC decoder configuration record or an AAC AudioSpecificConfig, which contains no media. */
  readonly sequenceHeader: boolean;
  /**
   * The body of the FLV tag: AudioTagHeader or VideoTagHeader, then data. It is never changed after it was passed on.
   */
  readonly payload: Buffer;
}
