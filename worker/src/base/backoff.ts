export interface BackoffOptions {
  /** The first delay is at most this, ms. */
  readonly initialMs: number;
  /** No delay is longer than this, ms. */
  readonly maxMs: number;
  /** Gives up after failing for longer than this, ms. Infinity for never. */
  readonly budgetMs: number;
  /** Work that succeeded for this long before it failed resets the backoff, ms. */
  readonly healthyAfterMs: number;
}

/**
 * Full jitter: each delay is drawn evenly from zero to a doubling bound, so that a fleet does not return all at once.
 */
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
   * Records one failure.
   *
   * @param nowMs any monotonic clock
   * @param workedForMs how long the work succeeded before it failed; 0 if it never started
   * @returns ms to wait before the next attempt, or undefined if the budget is spent
   */
  failed(nowMs: number, workedForMs: number): number | undefined {
    if (workedForMs >= this.#options.healthyAfterMs) this.reset();
    // The time during which it worked does not count as failing.
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
