export interface BackoffOptions {
  /** The first delay is at most this, ms. */
  readonly initialMs: number;
  /** No delay is longer than this, ms. */
  readonly maxMs: number;
  /** Failing for longer than this gives up, ms; Infinity: never. */
  readonly budgetMs: number;
  /** Work that held for this long before it failed starts the count anew, ms. */
  readonly healthyAfterMs: number;
}

/** Full jitter: each delay is drawn evenly from zero to a bound that doubles, so that a fleet does not come back as one. */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: () => number;
  #failures = 0;
  #failingSinceMs: number | undefined;

  constructor(options: BackoffOptions, random: () => number = Math.random) {
    this.#options = options;
    this.#random = random;
  }

  /**
   * Takes note of one failure.
   *
   * @param nowMs any monotonic clock
   * @param workedForMs how long the work held before it failed; 0 where it never began
   * @returns ms to wait before the next try, or undefined when the budget is spent
   */
  failed(nowMs: number, workedForMs: number): number | undefined {
    if (workedForMs >= this.#options.healthyAfterMs) this.reset();
    // The time that it worked in between is no time of failing.
    this.#failingSinceMs = this.#failingSinceMs === undefined ? nowMs : this.#failingSinceMs + workedForMs;
    const leftMs = this.#failingSinceMs + this.#options.budgetMs - nowMs;
    if (leftMs <= 0) return undefined;
    const boundMs = Math.min(this.#options.maxMs, this.#options.initialMs * 2 ** this.#failures);
    this.#failures += 1;
    return Math.min(this.#random() * boundMs, leftMs);
  }

  reset(): void {
    this.#failures = 0;
    this.#failingSinceMs = undefined;
  }
}
