import { performance } from "node:perf_hooks";
import { cancellableSleep } from "../../base/cancellable-sleep.ts";

/** Time as the HLS reader sees it; tests bring one of their own. */
export interface HlsClock {
  /** Any monotonic clock, ms. */
  nowMs(): number;
  /** Resolves after the delay, or when the signal aborts. */
  sleep(delayMs: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: HlsClock = {
  nowMs: () => performance.now(),
  sleep: cancellableSleep,
};
