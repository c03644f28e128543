import { setTimeout as delay } from "node:timers/promises";
import { Backoff } from "../../base/backoff.ts";

const BACKOFF = { initialMs: 250, maxMs: 4000, healthyAfterMs: Number.POSITIVE_INFINITY };

export interface PatienceOptions {
  readonly patienceMs: number;
  /** How long the other side may ask to be left alone, ms. */
  readonly askedPatienceMs: number;
  /** A monotonic clock, ms. */
  readonly now: () => number;
}

/** How long one thing that fails is tried again: so long in a row, with growing pauses. */
export class Patience {
  readonly #options: PatienceOptions;
  readonly #backoff: Backoff;
  #failingSinceMs: number | undefined;

  constructor(options: PatienceOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ ...BACKOFF, budgetMs: options.patienceMs });
  }

  /** It works again: what fails from now on is waited for as long. */
  recovered(): void {
    this.#failingSinceMs = undefined;
    this.#backoff.reset();
  }

  /**
   * Waits after a failure for the next try.
   *
   * @param askedMs how long the other side asks to be left alone
   * @returns false, at once, where patience does not last until then
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
