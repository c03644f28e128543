/** The lowest amount of queued media that a live source keeps, ms. More than that is unnecessary latency. */
export const LIVE_TARGET_MS = 400;
/**
 * The window over which the lowest amount is measured for a steady source, ms. The lowest amount occurs within a few
 * frames.
 */
const STEADY_WINDOW_MS = 3_000;
/** The same for a source that comes in segments (HLS), ms. The lowest amount occurs just before the next segment. */
const SEGMENTED_WINDOW_MS = 15_000;
/** The most by which the output clock runs faster than the wall clock while catching up, as a fraction. */
const SPEED_UP = 0.5;
/** The queued media of a steady source above which playback skips to the newest media, ms. */
const OLD_MS = 1_000;
/** The time without media after which a source is expected to send a backlog when it comes back, ms. */
const LONG_AWAY_MS = 2_500;
/** The time within which the backlog arrives after the source came back, ms. */
const GATHERED_COMES_MS = 1_000;
/**
 * The shortest time between two skips of a backlog, ms, because some sources always come in bursts with a pause before
 * each.
 */
const BURSTS_MS = 20_000;

export type CatchUp =
  /** Moves the output clock ahead by this much now, ms. */
  | { readonly name: "hurry"; readonly byMs: number }
  /** Skips the queued media up to the newest part. */
  | { readonly name: "skip" };

const STAY: CatchUp = { name: "hurry", byMs: 0 };

/**
 * Keeps the latency that queued media add to a live source small, and stops it from growing with clock drift. It
 * measures the lowest amount of queued media in each window and decides whether to catch up or to skip. Pure.
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
   * Records that the source delivers media again after a gap.
   *
   * @param awayMs the lateness of its media, which is the length of the filled gap
   */
  comesBack(awayMs: number, nowMs: number): void {
    this.#beginWindow(nowMs);
    this.#surplusMs = 0;
    if (awayMs >= LONG_AWAY_MS && nowMs - this.#backAtMs >= BURSTS_MS) this.#backAtMs = nowMs;
  }

  /**
   * Decides whether to catch up now.
   *
   * @param waitingMs the amount of media that is queued and not yet due, ms
   */
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
    // Each step reduces the amount of queued media, so the lowest amount measured so far must be reduced as well.
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

/** Returns how much of its queued media a steady live source skips when it comes on the air, ms: all but the target. */
export function initialHurryMs(waitingMs: number): number {
  return Math.max(0, waitingMs - LIVE_TARGET_MS);
}
