import { Backoff } from "../backoff.ts";
import type { PlayerEnd } from "./player-end.ts";

/** A live source that played for so long was well, ms. */
const HEALTHY_AFTER_MS = 10_000;

/**
 * The times in which a live source is away and is waited for. Their budget is one over all the times that it went away
 * shortly after it had come back. Time comes in as an argument.
 */
export class Absence {
  readonly #backoff: Backoff;
  #now: { readonly first: PlayerEnd; readonly tryAtMs: number } | undefined;

  /** @param budgetMs how long it is waited for */
  constructor(budgetMs: number) {
    this.#backoff = new Backoff({ initialMs: 500, maxMs: 5_000, budgetMs, healthyAfterMs: HEALTHY_AFTER_MS });
  }

  get isNow(): boolean {
    return this.#now !== undefined;
  }

  isDue(nowMs: number): boolean {
    return this.#now !== undefined && nowMs >= this.#now.tryAtMs;
  }

  /**
   * It went away.
   *
   * @param first what the programme ends with if it does not come back
   * @returns that end, where it is not waited for any more
   */
  begin(first: PlayerEnd, at: { readonly nowMs: number; readonly workedForMs: number }): PlayerEnd | undefined {
    return this.#wait(first, at);
  }

  /** A try to have it back failed; returns as `begin` does. Only while it is away. */
  failed(nowMs: number): PlayerEnd | undefined {
    return this.#now === undefined ? undefined : this.#wait(this.#now.first, { nowMs, workedForMs: 0 });
  }

  /** It is back, or is not waited for any more. */
  end(): void {
    this.#now = undefined;
  }

  #wait(first: PlayerEnd, at: { readonly nowMs: number; readonly workedForMs: number }): PlayerEnd | undefined {
    const delayMs = this.#backoff.failed(at.nowMs, at.workedForMs);
    this.#now = { first, tryAtMs: at.nowMs + (delayMs ?? 0) };
    return delayMs === undefined ? first : undefined;
  }
}
