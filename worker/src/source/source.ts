import type { PlanSummary, RoomcastError } from "@roomcast/shared";
import type { AudioFormat } from "../media/formats.ts";
import type { MediaTag } from "../media/media-tag.ts";

/** Why a source gives no more tags. */
export type SourceEnd =
  /** A recorded source played to its end. */
  { readonly name: "finished" } | { readonly name: "failed"; readonly error: RoomcastError };

/** What is known of an opened source. */
export interface SourceInfo {
  readonly live: boolean;
  /** A live source that comes in segments of some seconds (HLS), not as it happens. */
  readonly segmented?: boolean;
  /** The source waits so long for its media, ms, and then fails and says why: nobody else gives it up before. */
  readonly patienceMs?: number;
  /** null: live, or not known. */
  readonly durationMs: number | null;
  /** What the room will see: after transcoding, where there is any. */
  readonly width: number;
  readonly height: number;
  /** Frames per second; null where the source does not say. */
  readonly fps: number | null;
  /** What the room will hear. */
  readonly audioFormat: AudioFormat;
  readonly plan: PlanSummary;
  /** The tones of HDR are mapped, which takes much computing. */
  readonly toneMapped?: boolean;
  /**
   * Played faster (over 1) or slower. The tags' `dtsMs` then count playing time, which equals the position at `fromMs`;
   * from there on the position is `fromMs + (dtsMs - fromMs) * factor`.
   */
  readonly tempo?: { readonly factor: number; readonly fromMs: number };
}

/**
 * An opened source: a bounded queue of H.264 and AAC tags, filled from elsewhere and emptied by the timeline. Every kind
 * of source is a `QueuedSource` (queued-source.ts).
 *
 * Opened means: the sequence header of each track that `info.plan` names and the first video keyframe are at hand.
 * Tags come in DTS order per track, nearly so between tracks; each track's sequence header comes before its media and
 * again wherever it changes. `dtsMs` is the position in the source (recorded: 0 is its beginning, also after opening
 * it in the middle; live: 0 is about when it was opened).
 */
export interface Source {
  readonly info: SourceInfo;
  /** The oldest tag not taken yet; undefined: none is here now. */
  peek(): MediaTag | undefined;
  /** Takes the oldest tag. Taking makes room: a source that was paused by a full queue reads on. */
  shift(): MediaTag | undefined;
  /** Set once nothing more will come into the queue; tags that are still in it may be taken. */
  readonly end: SourceEnd | undefined;
  /** Payload bytes in the queue. */
  readonly queuedBytes: number;
  /** From the oldest to the newest tag in the queue, ms. */
  readonly queuedMs: number;
  /** Called when a tag comes into an empty queue, and when `end` is set. One listener. */
  onReadable: (() => void) | undefined;
  /** Idempotent; resolves when everything that the source owns (processes, sockets, timers) has ended. */
  close(): Promise<void>;
}
