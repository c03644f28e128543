type Track = "audio" | "video";

/** The largest step back of a track that counts as jitter, ms. A larger step back is a jump of the clock. */
const LARGEST_STEP_BACK_MS = 300;
/**
 * The most that a live source's clock may advance beyond the time that has passed, ms. After LEARNING_MS a stricter
 * check applies as well.
 */
const LIVE_TOLERANCE_MS = 1000;
/**
 * The time after which the earliest arrival of the tags is known, ms. No picture can arrive before it was taken, so
 * later tags are compared with that arrival.
 */
const LEARNING_MS = 3000;
/** A tag that arrives this much earlier, relative to its timestamp, than all previous tags is on another clock, ms. */
const EARLY_TOLERANCE_MS = 250;
/** The longest time that a recorded source may show one picture, ms. A longer step is a cut in the recording. */
const LONGEST_RECORDED_STEP_MS = 10_000;
/** A step of up to this many times the previous one is not a jump, because the frame rate of a source may be low. */
const STEP_FACTOR = 3;
/** The largest distance on one clock between tags of two tracks that arrive together, ms. */
const SAME_TIME_MS = 200;
/** The largest deviation from a regular step at an announced discontinuity, ms. A larger step counts as a jump. */
const ANNOUNCED_TOLERANCE_MS = 100;
/** The distance between the last tag before a jump and the first one after it if no step of the track is known, ms. */
const DEFAULT_STEP_MS = { video: 40, audio: 23 } as const;

interface TrackClock {
  /** Added to the source's timestamps, ms. */
  shiftMs: number;
  /** The last continuous timestamp; undefined before the first. */
  lastMs: number | undefined;
  stepMs: number;
  /** True if a discontinuity was announced and this track has not passed it yet. */
  announced: boolean;
}

export interface ContinuousClockOptions {
  /** True if tags arrive in real time, so that a step is compared with the time that has passed; false unless given. */
  readonly live?: boolean;
  /** A monotonic clock, ms. */
  readonly now?: () => number;
  /** Called when the clock has jumped, with the difference from the expected time, ms. */
  readonly onJump?: (byMs: number) => void;
}

/**
 * Detects jumps of a source's clock and makes it continuous, for every kind of source.
 *
 * After a jump, forwards or backwards and of any size, the following media are placed directly after the previous ones,
 * so that the room does not wait and nothing is dropped. The tracks of a source jump together but not at the same tag.
 * So each track has its own shift, and the second one to jump takes over the shift of the first if that fits.
 */
export class ContinuousClock {
  readonly #live: boolean;
  readonly #now: () => number;
  readonly #onJump: ((byMs: number) => void) | undefined;
  readonly #tracks: Record<Track, TrackClock> = { video: newTrack("video"), audio: newTrack("audio") };
  #lastAtMs: number | undefined;
  #firstAtMs: number | undefined;
  /**
   * The largest difference between a tag's continuous timestamp and its arrival: that of the tag that came earliest,
   * ms.
   */
  #earliestMs = Number.NEGATIVE_INFINITY;

  constructor(options: ContinuousClockOptions = {}) {
    this.#live = options.live ?? false;
    this.#now = options.now ?? (() => performance.now());
    this.#onJump = options.onJump;
  }

  /** Announces that the next tag of the track directly follows the last one, whatever its timestamp is. */
  announceJump(kind: Track): void {
    this.#tracks[kind].announced = true;
  }

  /**
   * @param dtsMs decode time of a media tag on the source's clock, ms
   * @returns the shift that makes the timestamp continuous, ms; 0 until the clock has jumped
   */
  shiftMs(kind: Track, dtsMs: number): number {
    const track = this.#tracks[kind];
    const other = this.#tracks[kind === "video" ? "audio" : "video"];
    const elapsedMs = this.#elapsedMs();
    if (this.#isJump(dtsMs + track.shiftMs, track, other, elapsedMs)) {
      const before = track.shiftMs;
      track.shiftMs = this.#isJump(dtsMs + other.shiftMs, track, other, elapsedMs)
        ? this.#nextMs(track, other) - dtsMs
        : other.shiftMs;
      this.#onJump?.(before - track.shiftMs);
    } else if (this.#live && this.#wasOnlyGap(dtsMs, track, other)) {
      track.shiftMs = other.shiftMs;
    }
    track.announced = false;
    const atMs = dtsMs + track.shiftMs;
    if (track.lastMs !== undefined && atMs > track.lastMs) track.stepMs = atMs - track.lastMs;
    track.lastMs = Math.max(track.lastMs ?? atMs, atMs);
    if (this.#lastAtMs !== undefined) this.#earliestMs = Math.max(this.#earliestMs, atMs - this.#lastAtMs);
    return track.shiftMs;
  }

  #elapsedMs(): number {
    if (!this.#live) return 0;
    const nowMs = this.#now();
    const elapsedMs = nowMs - (this.#lastAtMs ?? nowMs);
    this.#lastAtMs = nowMs;
    this.#firstAtMs ??= nowMs;
    return elapsedMs;
  }

  #isJump(atMs: number, track: TrackClock, other: TrackClock, elapsedMs: number): boolean {
    const newestMs = Math.max(track.lastMs ?? Number.NEGATIVE_INFINITY, other.lastMs ?? Number.NEGATIVE_INFINITY);
    if (newestMs === Number.NEGATIVE_INFINITY) return false;
    const backMs = track.announced ? ANNOUNCED_TOLERANCE_MS : LARGEST_STEP_BACK_MS;
    if (track.lastMs !== undefined && atMs < track.lastMs - backMs) return true;
    if (this.#comesTooEarly(atMs, newestMs, track)) return true;
    const usualMs = this.#live ? elapsedMs + LIVE_TOLERANCE_MS : LONGEST_RECORDED_STEP_MS;
    const aheadMs = track.announced ? track.stepMs + ANNOUNCED_TOLERANCE_MS : usualMs;
    return atMs > newestMs + Math.max(aheadMs, track.announced ? 0 : track.stepMs * STEP_FACTOR);
  }

  /**
   * Returns true if a track that seemed to jump alone had only lost media, such as pictures that a publisher dropped.
   * Its tags then fit the clock of the other track again.
   */
  #wasOnlyGap(dtsMs: number, track: TrackClock, other: TrackClock): boolean {
    if (track.shiftMs === other.shiftMs || track.lastMs === undefined || other.lastMs === undefined) return false;
    const atMs = dtsMs + other.shiftMs;
    return atMs >= track.lastMs && Math.abs(atMs - other.lastMs) < SAME_TIME_MS;
  }

  /** Returns true for a small jump of a live source's clock: the tag is too early for its time of arrival. */
  #comesTooEarly(atMs: number, newestMs: number, track: TrackClock): boolean {
    if (this.#lastAtMs === undefined || track.lastMs === undefined) return false;
    if (this.#lastAtMs - (this.#firstAtMs ?? this.#lastAtMs) < LEARNING_MS) return false;
    const leapsMs = atMs - newestMs - track.stepMs * STEP_FACTOR;
    return leapsMs > 0 && atMs - this.#lastAtMs > this.#earliestMs + EARLY_TOLERANCE_MS;
  }

  /**
   * Returns the place of the first tag after a jump: one step after the last tag of its own track, and not before the
   * last tag of the other track.
   */
  #nextMs(track: TrackClock, other: TrackClock): number {
    const ownMs = track.lastMs === undefined ? Number.NEGATIVE_INFINITY : track.lastMs + track.stepMs;
    return Math.max(ownMs, other.lastMs ?? Number.NEGATIVE_INFINITY);
  }
}

function newTrack(kind: Track): TrackClock {
  return { shiftMs: 0, lastMs: undefined, stepMs: DEFAULT_STEP_MS[kind], announced: false };
}
