import { setTimeout as delay } from "node:timers/promises";
import { Backoff } from "../../backoff.ts";

const BACKOFF = { initialMs: 250, maxMs: 4000, healthyAfterMs: Number.POSITIVE_INFINITY };

/** How long one thing that fails is tried again: so long in a row, with growing pauses. */
export class Patience {
  readonly #patienceMs: number;
  readonly #now: () => number;
  readonly #backoff: Backoff;
  #failingSinceMs: number | undefined;

  constructor(patienceMs: number, now: () => number) {
    this.#patienceMs = patienceMs;
    this.#now = now;
    this.#backoff = new Backoff({ ...BACKOFF, budgetMs: patienceMs });
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
    const nowMs = this.#now();
    this.#failingSinceMs ??= nowMs;
    const leftMs = this.#failingSinceMs + this.#patienceMs - nowMs;
    const backoffMs = this.#backoff.failed(nowMs, 0);
    if (backoffMs === undefined || (askedMs !== undefined && askedMs > leftMs)) return false;
    const waitMs = Math.max(askedMs ?? 0, backoffMs);
    try {
      await delay(waitMs, undefined, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
    return true;
  }
}
