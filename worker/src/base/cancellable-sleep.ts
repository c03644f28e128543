import { setTimeout as sleep } from "node:timers/promises";

/** Waits, or stops waiting when the signal aborts; resolves either way. */
export async function cancellableSleep(delayMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(delayMs, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
