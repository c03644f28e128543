/** PQ (SMPTE ST 2084, with HDR10 and Dolby Vision) or HLG (ARIB STD-B67). */
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
  /** The longest distance between keyframes that was seen, ms. */
  readonly gopMs: number | null;
  /** Clockwise rotation that a player must apply: 0, 90, 180 or 270. */
  readonly rotation: number;
  /** False where the sample aspect ratio is other than 1:1. */
  readonly squarePixels: boolean;
  /** Width of a pixel divided by its height; absent where it is 1 or not known. */
  readonly pixelAspect?: number;
  readonly interlaced: boolean;
  /** No picture is an IDR, so that nobody who joins can begin with one; absent: there are some, or nobody says. */
  readonly openGops?: boolean;
  /** HDR (PQ or HLG), or the primaries of BT.2020; absent: it is not, or nobody says. */
  readonly wideColours?: boolean;
  /** How HDR writes brightness; absent: it is none, or nobody says. */
  readonly hdr?: HdrTransfer;
  /** On average; absent: not known. */
  readonly bitRateKbps?: number;
  /** Where its first picture is shown, ms from the beginning; absent: at the beginning, or not known. */
  readonly startMs?: number;
  /** A sentence that says why it would be shown wrongly if it were copied (an edit list, wrong flags); absent: it would not. */
  readonly uncopyable?: string;
}

export interface AudioInfo {
  /** ffmpeg's codec name: `aac`, `mp3`, `opus`, … */
  readonly codec: string;
  readonly channels: number;
  readonly sampleRateHz: number;
  /** On average; absent: not known. */
  readonly bitRateKbps?: number;
  /** Where it is first heard, ms from the beginning; absent: at the beginning, or not known. */
  readonly startMs?: number;
  /** As for video. */
  readonly uncopyable?: string;
}

/** What a source holds: at most one video and one audio track, those that are played. */
export interface MediaInfo {
  /** ffmpeg's format name: `mov,mp4,m4a,3gp,3g2,mj2`, `flv`, `hls`, … */
  readonly container: string;
  /** null: live, or not known. */
  readonly durationMs: number | null;
  /** The duration also counts tracks that are not played, such as subtitles; absent: it does not. */
  readonly durationIsRough?: boolean;
  /** It is a file in fragments, which ends properly only between two of them, however long it is; absent: it is not. */
  readonly inFragments?: boolean;
  readonly video: VideoInfo | null;
  readonly audio: AudioInfo | null;
  /** Sentences about the choice of tracks, and why there is none of a kind where the source has some. */
  readonly choices?: readonly string[];
}
