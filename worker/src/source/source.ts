import type { PlanSummary, RoomcastError } from "@roomcast/shared";
import type { AudioFormat } from "../media/formats.ts";
import type { MediaTag } from "../media/media-tag.ts";

/** The reason why a source gives no more tags. */
export type SourceEnd =
  /** A recorded source has played to its end. */
  { readonly name: "finished" } | { readonly name: "failed"; readonly error: RoomcastError };

/** The properties of an opened source. */
export interface SourceInfo {
  readonly live: boolean;
  /** True for a live source that arrives in segments of some seconds (HLS) instead of in real time. */
  readonly segmented?: boolean;
  /**
   * The longest time that the source waits for media, ms. After that the source fails with the cause. The player must
   * not end it earlier.
   */
  readonly patienceMs?: number;
  /** Null if the source is live or the duration is unknown. */
  readonly durationMs: number | null;
  /** The picture that the room gets, after transcoding if there is any. */
  readonly width: number;
  readonly height: number;
  /** Frames per second; null if the source does not declare them. */
  readonly fps: number | null;
  /** The audio that the room gets. */
  readonly audioFormat: AudioFormat;
  readonly plan: PlanSummary;
  /** True if HDR is tone-mapped, which takes much CPU time. */
  readonly toneMapped?: boolean;
  /**
   * The speed of playing; over 1 is faster. The tags' `dtsMs` then count playing time, which equals the position at
   * `fromMs`. From there on the position is `fromMs + (dtsMs - fromMs) * factor`.
   */
  readonly tempo?: { readonly factor: number; readonly fromMs: number };
}

/**
 * An opened source: a bounded queue of H.264 and AAC tags that the timeline empties. Every kind of source extends
 * `QueuedSource` (queued-source.ts), which fills the queue.
 *
 * A source is open when the sequence header of each track in `info.plan` and the first video keyframe are available.
 * Tags come in DTS order per track and nearly so between tracks. Each track's sequence header comes before its media
 * and again when it changes. `dtsMs` is the position in the source. For a recorded source 0 is its beginning, even if
 * it was opened in the middle; for a live source 0 is about the time when it was opened.
 */
export interface Source {
  readonly info: SourceInfo;
  /** Returns the oldest tag without taking it, or undefined if the queue is empty now. */
  peek(): MediaTag | undefined;
  /**
   * Takes the oldest tag. This makes room in the queue, so a source that was paused by a full queue continues to read.
   */
  shift(): MediaTag | undefined;
  /** Set when no more tags will come into the queue. The tags that are still in the queue may be taken. */
  readonly end: SourceEnd | undefined;
  /** Payload bytes in the queue. */
  readonly queuedBytes: number;
  /** The time from the oldest to the newest tag in the queue, ms. */
  readonly queuedMs: number;
  /** Called when a tag comes into an empty queue, and when `end` is set. There is one listener. */
  onReadable: (() => void) | undefined;
  /**
   * Closes the source. Idempotent; resolves when everything that the source owns (processes, sockets, timers) has
   * ended.
   */
  close(): Promise<void>;
}
