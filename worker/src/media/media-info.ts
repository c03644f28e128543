/** The transfer functions of HDR: PQ (SMPTE ST 2084, with HDR10 and Dolby Vision) or HLG (ARIB STD-B67). */
export type HdrTransfer = "PQ" | "HLG";

/** The properties of a video track in a source. A value that is not known is null or absent. */
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
   * True if the track has no IDR pictures, so that a viewer who joins later cannot begin with one. Absent if it has some, or if
   * that is not known.
   */
  readonly openGops?: boolean;
  /** True if the track has HDR (PQ or HLG) or the primaries of BT.2020. Absent if it has neither, or if that is not known. */
  readonly wideColours?: boolean;
  /** The transfer function of an HDR track. Absent if the track is not HDR, or if that is not known. */
  readonly hdr?: HdrTransfer;
  /** The average bit rate; absent if it is not known. */
  readonly bitRateKbps?: number;
  /**
   * The time of the first picture, ms from the beginning of the source. Absent if the track starts at the beginning, or if the
   * time is not known.
   */
  readonly startMs?: number;
  /**
   * A sentence that says why a copy of the track would be shown wrongly, such as an edit list or wrong flags. Absent if a copy
   * would be shown correctly.
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
  /**
   * The time of the first sound, ms from the beginning of the source. Absent if the track starts at the beginning, or if the
   * time is not known.
   */
  readonly startMs?: number;
  /** A sentence that says why a copy of the track would be played wrongly; see `VideoInfo`. */
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
  /** True for a fragmented file. A fragmented file is complete only if it ends at the end of a fragment. */
  readonly inFragments?: boolean;
  readonly video: VideoInfo | null;
  readonly audio: AudioInfo | null;
  /**
   * Sentences about the choice of tracks. If the source has tracks of a kind and none of them is played, one sentence gives the
   * reason.
   */
  readonly choices?: readonly string[];
}
