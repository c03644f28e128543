import type { MediaTag } from "../../media/media-tag.ts";

/** A track that a container announces. */
export interface DemuxedTrack {
  /** The PID in an MPEG transport stream, or the track_ID in an MP4 file. */
  readonly id: number;
  readonly kind: "video" | "audio" | "other";
  /** ffmpeg's codec name: `h264`, `hevc`, `aac`, `ac3`, …; `unknown` for any other codec. */
  readonly codec: string;
  /** The ISO 639 language in lower case; undefined if the container does not declare it. */
  readonly language?: string | undefined;
  /** False if the container marks the track as played only on request; undefined if it does not declare this. */
  readonly enabled?: boolean | undefined;
  /**
   * The scheme by which the track is encrypted (`cenc`, `cbcs`, `SAMPLE-AES`, …); undefined if the track is not
   * encrypted.
   */
  readonly encryption?: string | undefined;
}

/** The ids of the chosen tracks; null if no track of the kind is chosen. */
export interface TrackChoice {
  readonly video: number | null;
  readonly audio: number | null;
}

export interface DemuxerOptions {
  /**
   * Called when the tracks are known, and again when they change, before any tag of the tracks is given.
   *
   * @returns the chosen tracks. Only H.264 and AAC become tags. Other codecs may be chosen too; they give no tags, and
   *   the caller can pass the bytes to ffmpeg instead.
   */
  readonly onTracks: (tracks: readonly DemuxedTrack[]) => TrackChoice;
  /**
   * Called with the H.264 and AAC tags of the chosen tracks, in the order of their decode times within a track, and
   * nearly in that order between tracks. A track's sequence header comes before its media and again when it changes.
   * `dtsMs` is the container's own clock, fractional, without wrap-around (a 33-bit clock continues past its wrap);
   * jumps of the clock are passed on unchanged.
   */
  readonly onTag: (tag: MediaTag) => void;
  /**
   * Called for each H.264 picture from which a decoder can begin although it is not an IDR picture (broadcast with open
   * groups of pictures, or refreshed bit by bit). Its tag is not a keyframe. A stream that has such pictures and no keyframe
   * cannot be copied, but can be encoded.
   */
  readonly onRecoveryPoint?: ((dtsMs: number) => void) | undefined;
}

/**
 * Makes tags of the bytes of one container. Damaged bytes cost at most the pictures that they belong to. A demuxer
 * throws a `DemuxError` only for bytes that are not its container at all, or that need too much memory.
 */
export interface Demuxer {
  /**
   * True if the container declares more bytes than have arrived, as far as is known before a flush. Undefined if the
   * container never declares sizes.
   */
  readonly isCut?: boolean;
  /** @throws DemuxError */
  push(chunk: Buffer): void;
  /** Gives the held tags, because the bytes end here or another segment follows. */
  flush(): void;
}

/** Thrown if the bytes are not the expected container, or need more memory than a stream may use. */
export class DemuxError extends Error {
  override readonly name = "DemuxError";
}
