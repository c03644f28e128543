/**
 * One piece of media in the shape that FLV tags and RTMP messages share (Adobe FLV 10.1, E.4.2 and E.4.3), so that a
 * payload goes from the demuxer to the socket without being copied or rewritten.
 */
export interface MediaTag {
  readonly kind: "audio" | "video";
  /** Decode time on the source's own clock, ms; may be fractional or negative. */
  readonly dtsMs: number;
  /** Position in the source, ms, where its clock has jumped and `dtsMs` was made continuous; otherwise it is `dtsMs`. */
  readonly positionMs?: number;
  /** Video: presentation minus decode time, ms (0 without B-frames). Audio: 0. */
  readonly compositionMs: number;
  /** Video: starts with an IDR picture. Audio: true. */
  readonly keyframe: boolean;
  /** An AVC decoder configuration record or an AAC AudioSpecificConfig, no media of its own. */
  readonly sequenceHeader: boolean;
  /** The body of the FLV tag: AudioTagHeader or VideoTagHeader, then data. Never written to after it is handed on. */
  readonly payload: Buffer;
}
