import { RoomcastError } from "@roomcast/shared";
import { Backoff } from "../base/backoff.ts";
import type { SourceChange } from "./source-change.ts";
import type { RetryPolicy } from "./source-retry-policy.ts";

/** A source that was on the air for so long was well: what happens later is a new absence, ms. */
const HEALTHY_AFTER_MS = 10_000;
/** A source that played for so long between two failures of its engine made progress, ms. */
const PROGRESS_MS = 5_000;
/** So many times a source is opened again after its engine failed without progress in between. */
const FEW_TRIES = 3;

export interface SourceFailure {
  /** What is to be opened again. */
  readonly wish: SourceChange;
  readonly error: RoomcastError;
  readonly policy: RetryPolicy;
  readonly nowMs: number;
  /** How long the source that was on the air last gave pictures, ms; it counts for the first of several failures. */
  readonly workedForMs: number;
}

/**
 * A source that the room is to see, that is not there, and that is tried again. The budget is one over all the times
 * that sources went away shortly after they had come back. Time comes in as an argument.
 */
export class SourceRetries {
  readonly #backoff: Backoff;
  #next: { readonly wish: SourceChange; readonly first: RoomcastError; readonly atMs: number } | undefined;
  #withoutProgress = 0;

  /** @param budgetMs for how long it is tried, from the first failure on */
  constructor(budgetMs: number) {
    this.#backoff = new Backoff({ initialMs: 500, maxMs: 5_000, budgetMs, healthyAfterMs: HEALTHY_AFTER_MS });
  }

  /** What is to be opened again, now or later. */
  get wish(): SourceChange | undefined {
    return this.#next?.wish;
  }

  isDue(nowMs: number): boolean {
    return this.#next !== undefined && nowMs >= this.#next.atMs;
  }

  /** @returns the error to give up with, where it is not tried again: what came first, and what came last */
  failed({ wish, error, policy, nowMs, workedForMs }: SourceFailure): RoomcastError | undefined {
    const first = this.#next?.first ?? error;
    const progressMs = this.#next === undefined ? workedForMs : 0;
    if (progressMs >= PROGRESS_MS) this.#withoutProgress = 0;
    this.#next = undefined;
    if (policy === "fewTries") this.#withoutProgress += 1;
    if (policy === "none" || this.#withoutProgress > FEW_TRIES) return withLast(first, error);
    const delayMs = this.#backoff.failed(nowMs, progressMs);
    if (delayMs === undefined) return withLast(first, error);
    this.#next = { wish, first, atMs: nowMs + delayMs };
    return undefined;
  }

  /** It stood still meanwhile: it is tried at once, with a budget that is whole again. */
  tryNow(): void {
    this.#backoff.reset();
    if (this.#next !== undefined) this.#next = { ...this.#next, atMs: Number.NEGATIVE_INFINITY };
  }

  /** Something is on the air, or is wanted instead; the budget goes on. */
  drop(): void {
    this.#next = undefined;
  }

  /** Nobody misses it yet, or it is another source from now on: the budget is whole again. */
  reset(): void {
    this.#next = undefined;
    this.#withoutProgress = 0;
    this.#backoff.reset();
  }
}

function withLast(first: RoomcastError, last: RoomcastError): RoomcastError {
  if (last === first || first.message.includes(last.message)) return first;
  const message = `${first.message} It could not be opened again: ${last.message}`;
  return new RoomcastError(first.code, message, { cause: last.cause });
}
