type Track = "audio" | "video";

/** A step back of a track that is larger than this is a new beginning, ms; a smaller one is jitter. */
const LARGEST_STEP_BACK_MS = 300;
/** By so much more than the time that has passed may a live source's clock advance, ms … */
const LIVE_TOLERANCE_MS = 1000;
/** … until it is known how early its tags come at their earliest: nothing can come before it was taken. */
const LEARNING_MS = 3000;
/** A tag that comes this much earlier than any before, measured by its own time, is on another clock, ms. */
const EARLY_TOLERANCE_MS = 250;
/** A recorded source may show one picture for so long, ms; a longer step is a cut in the recording. */
const LONGEST_RECORDED_STEP_MS = 10_000;
/** A source that shows a picture every few seconds keeps doing so: steps up to so many times the last one are no jump. */
const STEP_FACTOR = 3;
/** Tags of two tracks that come together are about so close on one clock, ms. */
const SAME_TIME_MS = 200;
/** At an announced discontinuity any larger step than this is one, ms. */
const ANNOUNCED_TOLERANCE_MS = 100;
/** Between the last tag before a jump and the first one after it when no step of that track is known, ms. */
const DEFAULT_STEP_MS = { video: 40, audio: 23 } as const;

interface TrackClock {
  /** Added to the source's timestamps, ms. */
  shiftMs: number;
  /** The last continuous timestamp; undefined before the first. */
  lastMs: number | undefined;
  stepMs: number;
  /** A discontinuity was announced and this track has not passed it yet. */
  announced: boolean;
}

export interface ContinuousClockOptions {
  /** Tags come as they happen, so that a step is compared with the time that has passed; false unless given. */
  readonly live?: boolean;
  /** Monotonic, ms. */
  readonly now?: () => number;
  /** Called when the clock has jumped, with the difference to what was expected, ms. */
  readonly onJump?: (byMs: number) => void;
}

/**
 * Decides for every kind of source when its clock has jumped, and makes a continuous one of it.
 *
 * A jump, forwards or backwards and of any size, is a new beginning: what follows is placed directly behind what came
 * before, so that nobody waits for it and nothing is dropped. The tracks of a source jump together but not at the same
 * tag, so each has its own shift, and the second one to jump takes over the shift of the first where that fits.
 */
export class ContinuousClock {
  readonly #live: boolean;
  readonly #now: () => number;
  readonly #onJump: ((byMs: number) => void) | undefined;
  readonly #tracks: Record<Track, TrackClock> = { video: newTrack("video"), audio: newTrack("audio") };
  #lastAtMs: number | undefined;
  #firstAtMs: number | undefined;
  /** Continuous timestamp minus wall time of the tag that came earliest, ms. */
  #earliestMs = Number.NEGATIVE_INFINITY;

  constructor(options: ContinuousClockOptions = {}) {
    this.#live = options.live ?? false;
    this.#now = options.now ?? (() => performance.now());
    this.#onJump = options.onJump;
  }

  /** The next tag of a track may follow anywhere on the source's clock and belongs directly behind the last one. */
  announceJump(kind: Track): void {
    this.#tracks[kind].announced = true;
  }

  /**
   * @param dtsMs decode time of a media tag on the source's clock, ms
   * @returns what is to be added to it to make it continuous, ms; 0 as long as the clock has not jumped
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
   * A track that seemed to jump alone had only lost something, as publishers drop pictures: it goes back to the clock of
   * the other one as soon as that is where its tags belong.
   */
  #wasOnlyGap(dtsMs: number, track: TrackClock, other: TrackClock): boolean {
    if (track.shiftMs === other.shiftMs || track.lastMs === undefined || other.lastMs === undefined) return false;
    const atMs = dtsMs + other.shiftMs;
    return atMs >= track.lastMs && Math.abs(atMs - other.lastMs) < SAME_TIME_MS;
  }

  /** A small jump of a live source's clock: its tag lies ahead of what can have been taken by now. */
  #comesTooEarly(atMs: number, newestMs: number, track: TrackClock): boolean {
    if (this.#lastAtMs === undefined || track.lastMs === undefined) return false;
    if (this.#lastAtMs - (this.#firstAtMs ?? this.#lastAtMs) < LEARNING_MS) return false;
    const leapsMs = atMs - newestMs - track.stepMs * STEP_FACTOR;
    return leapsMs > 0 && atMs - this.#lastAtMs > this.#earliestMs + EARLY_TOLERANCE_MS;
  }

  /** Where the first tag after a jump belongs: behind its own track, and not before what the other track has given. */
  #nextMs(track: TrackClock, other: TrackClock): number {
    const ownMs = track.lastMs === undefined ? Number.NEGATIVE_INFINITY : track.lastMs + track.stepMs;
    return Math.max(ownMs, other.lastMs ?? Number.NEGATIVE_INFINITY);
  }
}

function newTrack(kind: Track): TrackClock {
  return { shiftMs: 0, lastMs: undefined, stepMs: DEFAULT_STEP_MS[kind], announced: false };
}
