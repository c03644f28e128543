/**
 * One unit of media in the form that FLV tags and RTMP messages share (Adobe FLV 10.1, E.4.2 and E.4.3). A payload in this form
 * can be passed from the demuxer to the socket without being copied or rewritten.
 */
export interface MediaTag {
  readonly kind: "audio" | "video";
  /** The decode time on the source's clock, ms. It may be fractional or negative. */
  readonly dtsMs: number;
  /**
   * The position in the source, ms. It differs from `dtsMs` only if the source's clock has jumped and `dtsMs` was made
   * continuous.
   */
  readonly positionMs?: number;
  /** For video, the presentation time minus the decode time, ms (0 without B-frames). For audio, 0. */
  readonly compositionMs: number;
  /** For video, true if the tag starts with an IDR picture. For audio, always true. */
  readonly keyframe: boolean;
  /** True for an AVC decoder configuration record or an AAC AudioSpecificConfig, which contains no media. */
  readonly sequenceHeader: boolean;
  /**
   * The body of the FLV tag: AudioTagHeader or VideoTagHeader, and then the data. The payload is never changed after the tag
   * was passed on.
   */
  readonly payload: Buffer;
}
