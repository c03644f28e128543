/** A delay that doubles with each try, or as long as the server asks to be left alone (`Retry-After`), ms. Pure. */
export function retryDelayMs(failure: unknown, tries: number, { firstMs, maxMs }: RetryPace): number {
  const ownMs = Math.min(firstMs * 2 ** (tries - 1), maxMs);
  const asked = failure instanceof Error && "retryAfterMs" in failure ? failure.retryAfterMs : undefined;
  return typeof asked === "number" && asked > ownMs ? Math.min(asked, MAX_ASKED_MS) : ownMs;
}

export interface RetryPace {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** Servers that ask for more are asked again anyway: patience is seldom longer. */
const MAX_ASKED_MS = 60_000;
