const WINDOW_MS = 1_000;

/**
 * Measures bits and frames per second over the last whole second. It does not read a clock: the time is an argument.
 */
export class RateMeter {
  #startMs: number;
  #bytes = 0;
  #frames = 0;
  #bitRateKbps = 0;
  #fps = 0;

  constructor(nowMs: number) {
    this.#startMs = nowMs;
  }

  get bitRateKbps(): number {
    return this.#bitRateKbps;
  }

  get fps(): number {
    return this.#fps;
  }

  add(bytes: number, frames: number): void {
    this.#bytes += bytes;
    this.#frames += frames;
  }

  /** Ends the window if it is over. Must be called at least once per window. */
  roll(nowMs: number): void {
    const spanMs = nowMs - this.#startMs;
    if (spanMs < WINDOW_MS) return;
    this.#bitRateKbps = Math.round((this.#bytes * 8) / spanMs);
    this.#fps = Math.round((this.#frames * 10_000) / spanMs) / 10;
    this.#startMs = nowMs;
    this.#bytes = 0;
    this.#frames = 0;
  }
}
