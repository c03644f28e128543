/**
 * Returns the delay before the next try, ms. It doubles with each try, or is the server's `Retry-After` if that is
 * longer. Pure.
 */
export function retryDelayMs(failure: unknown, tries: number, { firstMs, maxMs }: RetryPace): number {
  const ownMs = Math.min(firstMs * 2 ** (tries - 1), maxMs);
  const asked = failure instanceof Error && "retryAfterMs" in failure ? failure.retryAfterMs : undefined;
  return typeof asked === "number" && asked > ownMs ? Math.min(asked, MAX_ASKED_MS) : ownMs;
}

export interface RetryPace {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * The longest delay for a `Retry-After`, ms. A longer one is shortened, because the reader seldom waits longer for a
 * source.
 */
const MAX_ASKED_MS = 60_000;
