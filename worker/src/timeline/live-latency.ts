/** What a live source may have waiting at its lowest, ms; the rest is latency that nobody needs. */
export const LIVE_TARGET_MS = 400;
/** The lowest level counts over this time, ms: a steady source shows it within a few frames, … */
const STEADY_WINDOW_MS = 3_000;
/** … one that comes in segments (HLS) only just before the next segment. */
const SEGMENTED_WINDOW_MS = 15_000;
/** Catching up plays at most this much faster than the wall clock. */
const SPEED_UP = 0.5;
/** A steady source that has more waiting than this is old news: it is entered at its newest, ms. */
const OLD_MS = 1_000;
/** A source that was away for longer than this sends what has gathered meanwhile when it comes back, ms … */
const LONG_AWAY_MS = 2_500;
/** … within this time. */
const GATHERED_COMES_MS = 1_000;
/** A source that comes in bursts by its nature is away all the time; once in this time the rest of one is passed over, ms. */
const BURSTS_MS = 20_000;

export type CatchUp =
  /** The output clock shall jump ahead by so much now, ms. */
  | { readonly name: "hurry"; readonly byMs: number }
  /** What waits shall be passed over, up to the newest. */
  | { readonly name: "skip" };

const STAY: CatchUp = { name: "hurry", byMs: 0 };

/**
 * Keeps the latency that we add to a live source small and stops it from growing with clock drift: watches how much media
 * is waiting at the lowest point of a window, and says what is to be done about it. Pure.
 */
export class LiveLatency {
  readonly #segmented: boolean;
  readonly #windowMs: number;
  #windowStartMs: number;
  #lowestMs = Number.POSITIVE_INFINITY;
  #surplusMs: number;
  #lastMs: number;
  #backAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: { readonly segmented: boolean; readonly nowMs: number }) {
    this.#segmented = options.segmented;
    this.#windowMs = options.segmented ? SEGMENTED_WINDOW_MS : STEADY_WINDOW_MS;
    this.#windowStartMs = options.nowMs;
    this.#lastMs = options.nowMs;
    this.#surplusMs = 0;
  }

  /**
   * The source gives something again.
   *
   * @param awayMs what it gives is so much late, and the gap was filled
   */
  comesBack(awayMs: number, nowMs: number): void {
    this.#beginWindow(nowMs);
    this.#surplusMs = 0;
    if (awayMs >= LONG_AWAY_MS && nowMs - this.#backAtMs >= BURSTS_MS) this.#backAtMs = nowMs;
  }

  /** @param waitingMs media that is here and not yet due, ms */
  judge(waitingMs: number, nowMs: number): CatchUp {
    this.#lowestMs = Math.min(this.#lowestMs, waitingMs);
    if (nowMs - this.#windowStartMs >= this.#windowMs) {
      this.#surplusMs = Math.max(0, this.#lowestMs - LIVE_TARGET_MS);
      this.#beginWindow(nowMs);
    }
    if (!this.#segmented && this.#isOld(waitingMs, nowMs)) {
      this.#surplusMs = 0;
      this.#beginWindow(nowMs);
      this.#lastMs = nowMs;
      return { name: "skip" };
    }
    const byMs = Math.min(this.#surplusMs, (nowMs - this.#lastMs) * SPEED_UP);
    this.#lastMs = nowMs;
    if (byMs === 0) return STAY;
    this.#surplusMs -= byMs;
    // What is waiting shrinks with every step that we take; the level seen before must shrink with it.
    this.#lowestMs -= byMs;
    return { name: "hurry", byMs };
  }

  #isOld(waitingMs: number, nowMs: number): boolean {
    const gathered = nowMs - this.#backAtMs < GATHERED_COMES_MS && waitingMs > OLD_MS;
    return gathered || this.#surplusMs > OLD_MS;
  }

  #beginWindow(nowMs: number): void {
    this.#windowStartMs = nowMs;
    this.#lowestMs = Number.POSITIVE_INFINITY;
  }
}

/** How far a steady live source may be brought ahead when it comes on the air, ms: all but the target. */
export function initialHurryMs(waitingMs: number): number {
  return Math.max(0, waitingMs - LIVE_TARGET_MS);
}
