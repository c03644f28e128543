import { setTimeout as delay } from "node:timers/promises";
import { Backoff } from "../../base/backoff.ts";

const BACKOFF = { initialMs: 250, maxMs: 4000, healthyAfterMs: Number.POSITIVE_INFINITY };

export interface PatienceOptions {
  readonly patienceMs: number;
  /** The longest wait that the server may ask for, ms. */
  readonly askedPatienceMs: number;
  /** A monotonic clock, ms. */
  readonly now: () => number;
}

/**
 * Paces the retries of one request. The pauses grow, and the retries end when the request has failed for `patienceMs`
 * without a success.
 */
export class Patience {
  readonly #options: PatienceOptions;
  readonly #backoff: Backoff;
  #failingSinceMs: number | undefined;

  constructor(options: PatienceOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ ...BACKOFF, budgetMs: options.patienceMs });
  }

  /** Records a success, so that the next failure gets the full retry time again. */
  recovered(): void {
    this.#failingSinceMs = undefined;
    this.#backoff.reset();
  }

  /**
   * Waits after a failure until the next try is due.
   *
   * @param askedMs the wait that the server asks for, ms
   * @returns false, without waiting, if the retry time would end before the next try
   */
  async wait(askedMs: number | undefined, signal: AbortSignal): Promise<boolean> {
    const { now, patienceMs, askedPatienceMs } = this.#options;
    const nowMs = now();
    this.#failingSinceMs ??= nowMs;
    const passedMs = nowMs - this.#failingSinceMs;
    const backoffMs = this.#backoff.failed(nowMs, 0);
    if (askedMs === undefined && backoffMs === undefined) return false;
    if (askedMs !== undefined && passedMs + askedMs > Math.max(patienceMs, askedPatienceMs)) return false;
    const waitMs = Math.max(askedMs ?? 0, backoffMs ?? 0);
    try {
      await delay(waitMs, undefined, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
    return true;
  }
}
