import { setTimeout as sleep } from "node:timers/promises";

/** Waits until the time is over or the signal aborts. Resolves in both cases. */
export async function cancellableSleep(delayMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(delayMs, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
