import type { MediaTag } from "../../media/media-tag.ts";

/** A track that a container announces. */
export interface DemuxedTrack {
  /** PID of an MPEG transport stream, track_ID of an MP4 file. */
  readonly id: number;
  readonly kind: "video" | "audio" | "other";
  /** ffmpeg's codec name: `h264`, `hevc`, `aac`, `ac3`, …; `unknown` where it is none of the known ones. */
  readonly codec: string;
  /** ISO 639 language, in lower case, where the container says it. */
  readonly language?: string | undefined;
  /** False where the container says that it is not to be played unless asked for; undefined where it does not say. */
  readonly enabled?: boolean | undefined;
  /** The scheme by which the track is encrypted (`cenc`, `cbcs`, `SAMPLE-AES`, …); undefined if it is not. */
  readonly encryption?: string | undefined;
}

/** The tracks whose media are wanted; null for none of that kind. */
export interface TrackChoice {
  readonly video: number | null;
  readonly audio: number | null;
}

export interface DemuxerOptions {
  /**
   * Called when the tracks are known and again whenever they change, before any tag of them.
   *
   * @returns the tracks whose media are wanted. Only H.264 and AAC become tags; other codecs may be chosen, and then
   *   nothing comes of them, so that the caller can hand the bytes to ffmpeg instead.
   */
  readonly onTracks: (tracks: readonly DemuxedTrack[]) => TrackChoice;
  /**
   * H.264 and AAC of the chosen tracks, in DTS order per track and nearly so between tracks. A track's sequence header
   * comes before its media and again whenever it changes. `dtsMs` is the container's own clock, fractional, without
   * wrap-around (a 33-bit clock goes on past its wrap); jumps of the clock are passed on as they are.
   */
  readonly onTag: (tag: MediaTag) => void;
  /**
   * Called for each H.264 picture from which a decoder can begin although it is no IDR picture (broadcast with open
   * groups of pictures, or refreshed bit by bit). Its tag is no keyframe. A stream that has such pictures and no keyframe
   * cannot be copied, but can be encoded.
   */
  readonly onRecoveryPoint?: ((dtsMs: number) => void) | undefined;
}

/**
 * Makes tags of the bytes of one container. Bytes that are damaged cost at most the pictures they belong to: a demuxer
 * throws a `DemuxError` only for what is not its container at all.
 */
export interface Demuxer {
  /** Before a flush: the bytes end where the container says that more belongs to them. Undefined: it never says so. */
  readonly isCut?: boolean;
  /** @throws DemuxError */
  push(chunk: Buffer): void;
  /** Gives what was held back: the bytes end here, or those of another segment follow. */
  flush(): void;
}

/** The bytes are not what they were taken for, or ask for more memory than a stream may take. */
export class DemuxError extends Error {
  override readonly name = "DemuxError";
}
