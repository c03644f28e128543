import { Backoff } from "../backoff.ts";
import type { ChangeWish } from "./change-wish.ts";

/** What must come next on the air, could not be opened, and is tried again. Time comes in as an argument. */
export class SecondTries {
  readonly #backoff: Backoff;
  #next: { readonly wish: ChangeWish; readonly atMs: number } | undefined;

  /** @param budgetMs for how long it is tried, from the first failure on */
  constructor(budgetMs: number) {
    this.#backoff = new Backoff({ initialMs: 500, maxMs: 5_000, budgetMs, healthyAfterMs: Number.POSITIVE_INFINITY });
  }

  /** What is still to be tried. */
  get pending(): ChangeWish | undefined {
    return this.#next?.wish;
  }

  /** A try failed; returns whether there is another one. */
  failed(wish: ChangeWish, nowMs: number): boolean {
    const delayMs = this.#backoff.failed(nowMs, 0);
    this.#next = delayMs === undefined ? undefined : { wish, atMs: nowMs + delayMs };
    return delayMs !== undefined;
  }

  /** What is to be tried now, once. */
  take(nowMs: number): ChangeWish | undefined {
    if (this.#next === undefined || nowMs < this.#next.atMs) return undefined;
    const { wish } = this.#next;
    this.#next = undefined;
    return wish;
  }

  /** Something else is wanted instead; the budget goes on. */
  drop(): void {
    this.#next = undefined;
  }

  /** It is there, or nobody misses it yet: the budget is whole again. */
  reset(): void {
    this.#next = undefined;
    this.#backoff.reset();
  }
}
