import { RoomcastError } from "@roomcast/shared";
import { Backoff } from "../base/backoff.ts";
import type { SourceChange } from "./source-change.ts";
import type { RetryPolicy } from "./source-retry-policy.ts";

/** The time on the air after which a new failure gets a new budget, ms. */
const HEALTHY_AFTER_MS = 10_000;
/** The playing time between two failures of ffmpeg that counts as progress, ms. */
const PROGRESS_MS = 5_000;
/** The number of times that a source is opened again after ffmpeg failed without progress in between. */
const FEW_TRIES = 3;

export interface SourceFailure {
  /** The source to open again. */
  readonly change: SourceChange;
  readonly error: RoomcastError;
  readonly policy: RetryPolicy;
  readonly nowMs: number;
  /**
   * The time for which the last source on the air delivered pictures, ms. It is used only for the first of several
   * failures.
   */
  readonly workedForMs: number;
}

/**
 * Decides when a missing source is opened again. Failures that follow shortly after a source came back share one
 * budget. This class does not read a clock: the time is an argument.
 */
export class SourceRetries {
  readonly #backoff: Backoff;
  #next: { readonly change: SourceChange; readonly first: RoomcastError; readonly atMs: number } | undefined;
  #withoutProgress = 0;

  /** @param budgetMs the time for which a source is retried after the first failure */
  constructor(budgetMs: number) {
    this.#backoff = new Backoff({ initialMs: 500, maxMs: 5_000, budgetMs, healthyAfterMs: HEALTHY_AFTER_MS });
  }

  /** The source to open again, now or later. */
  get change(): SourceChange | undefined {
    return this.#next?.change;
  }

  isDue(nowMs: number): boolean {
    return this.#next !== undefined && nowMs >= this.#next.atMs;
  }

  /** @returns the error to give up with (the first and the last one combined), or undefined if the source is retried */
  failed({ change, error, policy, nowMs, workedForMs }: SourceFailure): RoomcastError | undefined {
    const first = this.#next?.first ?? error;
    const progressMs = this.#next === undefined ? workedForMs : 0;
    if (progressMs >= PROGRESS_MS) this.#withoutProgress = 0;
    this.#next = undefined;
    if (policy === "fewTries") this.#withoutProgress += 1;
    if (policy === "none" || this.#withoutProgress > FEW_TRIES) return withLast(first, error);
    const delayMs = this.#backoff.failed(nowMs, progressMs);
    if (delayMs === undefined) return withLast(first, error);
    this.#next = { change, first, atMs: nowMs + delayMs };
    return undefined;
  }

  /** Retries at once with a full budget, because a pause has ended. */
  tryNow(): void {
    this.#backoff.reset();
    if (this.#next !== undefined) this.#next = { ...this.#next, atMs: Number.NEGATIVE_INFINITY };
  }

  /** Stops retrying, because a source is on the air or another one was requested. The budget continues to count. */
  drop(): void {
    this.#next = undefined;
  }

  /** Stops retrying and restores the budget, because the source is not needed yet or another item follows. */
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
