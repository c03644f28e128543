/** The transfer functions of HDR: PQ (SMPTE ST 2084, with HDR10 and Dolby Vision) or HLG (ARIB STD-B67). */
export type HdrTransfer = "PQ" | "HLG";

/** A video track as it is found in a source, before anything is decided. Unknown values are null. */
export interface VideoInfo {
  /** ffmpeg's codec name: `h264`, `hevc`, `vp9`, … */
  readonly codec: string;
  readonly width: number;
  readonly height: number;
  readonly fps: number | null;
  /** ffmpeg's pixel format name: `yuv420p`, `yuv420p10le`, … */
  readonly pixelFormat: string | null;
  readonly hasBFrames: boolean;
  /** The longest observed distance between keyframes, ms. */
  readonly gopMs: number | null;
  /** Clockwise rotation that a player must apply: 0, 90, 180 or 270. */
  readonly rotation: number;
  /** False if the sample aspect ratio is not 1:1. */
  readonly squarePixels: boolean;
  /** Width of a pixel divided by its height; absent if it is 1 or not known. */
  readonly pixelAspect?: number;
  readonly interlaced: boolean;
  /**
   * True if no picture is an IDR, so that a viewer who joins cannot begin with one. Absent if there are some or it is
   * not known.
   */
  readonly openGops?: boolean;
  /** True for HDR (PQ or HLG) or the primaries of BT.2020. Absent if it has neither or it is not known. */
  readonly wideColours?: boolean;
  /** The transfer function of HDR. Absent if it is not HDR or not known. */
  readonly hdr?: HdrTransfer;
  /** The average bit rate; absent if it is not known. */
  readonly bitRateKbps?: number;
  /** The time of its first picture, ms from the beginning; absent if it is the beginning or not known. */
  readonly startMs?: number;
  /**
   * A sentence that says why a copy would be shown wrongly (an edit list, wrong flags); absent if it would be shown
   * correctly.
   */
  readonly uncopyable?: string;
}

export interface AudioInfo {
  /** ffmpeg's codec name: `aac`, `mp3`, `opus`, … */
  readonly codec: string;
  readonly channels: number;
  readonly sampleRateHz: number;
  /** The average bit rate; absent if it is not known. */
  readonly bitRateKbps?: number;
  /** The time of its first sound, ms from the beginning; absent if it is the beginning or not known. */
  readonly startMs?: number;
  /** The same as for video. */
  readonly uncopyable?: string;
}

/** The tracks of a source that are played: at most one video and one audio track. */
export interface MediaInfo {
  /** ffmpeg's format name: `mov,mp4,m4a,3gp,3g2,mj2`, `flv`, `hls`, … */
  readonly container: string;
  /** Null if the source is live or the value is not known. */
  readonly durationMs: number | null;
  /** True if the duration also counts tracks that are not played, such as subtitles. */
  readonly durationIsRough?: boolean;
  /** True for a fragmented file. It ends properly only between two fragments, however long it is. */
  readonly inFragments?: boolean;
  readonly video: VideoInfo | null;
  readonly audio: AudioInfo | null;
  /** Sentences about the choice of tracks, and the reason if the source has tracks of a kind and none is played. */
  readonly choices?: readonly string[];
}
