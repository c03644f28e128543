/** What a live source may have waiting at its lowest, ms; the rest is latency that nobody needs. */
const TARGET_MS = 400;
/** The lowest level counts over this time, ms: a steady source shows it within a few frames, … */
const STEADY_WINDOW_MS = 3_000;
/** … one that comes in segments (HLS) only just before the next segment. */
const SEGMENTED_WINDOW_MS = 15_000;
/** Catching up plays at most this much faster than the wall clock. */
const SPEED_UP = 0.5;

/**
 * Keeps the latency that we add to a live source small and stops it from growing with clock drift: watches how much media
 * is waiting at the lowest point of a window, and says by how much the output clock shall hurry. Pure.
 */
export class LiveLatency {
  readonly #windowMs: number;
  #windowStartMs: number;
  #lowestMs = Number.POSITIVE_INFINITY;
  #surplusMs: number;
  #lastMs: number;

  constructor(options: { readonly segmented: boolean; readonly nowMs: number }) {
    this.#windowMs = options.segmented ? SEGMENTED_WINDOW_MS : STEADY_WINDOW_MS;
    this.#windowStartMs = options.nowMs;
    this.#lastMs = options.nowMs;
    this.#surplusMs = 0;
  }

  /**
   * @param waitingMs media that is here and not yet due, ms
   * @returns ms by which the output clock shall jump ahead now
   */
  hurryMs(waitingMs: number, nowMs: number): number {
    this.#lowestMs = Math.min(this.#lowestMs, waitingMs);
    if (nowMs - this.#windowStartMs >= this.#windowMs) {
      this.#surplusMs = Math.max(0, this.#lowestMs - TARGET_MS);
      this.#windowStartMs = nowMs;
      this.#lowestMs = Number.POSITIVE_INFINITY;
    }
    const stepMs = Math.min(this.#surplusMs, (nowMs - this.#lastMs) * SPEED_UP);
    this.#lastMs = nowMs;
    this.#surplusMs -= stepMs;
    // What is waiting shrinks with every step that we take; the level seen before must shrink with it.
    this.#lowestMs -= stepMs;
    return stepMs;
  }
}

/** How far a steady live source may be brought ahead when it comes on the air, ms: all but the target. */
export function initialHurryMs(waitingMs: number): number {
  return Math.max(0, waitingMs - TARGET_MS);
}
