import { performance } from "node:perf_hooks";
import { cancellableSleep } from "../../base/cancellable-sleep.ts";

/** The clock of the HLS reader, which tests replace. */
export interface HlsTimer {
  /** The time of a monotonic clock, ms. */
  nowMs(): number;
  /** Resolves after the delay, or when the signal aborts. */
  sleep(delayMs: number, signal: AbortSignal): Promise<void>;
}

export const systemTimer: HlsTimer = {
  nowMs: () => performance.now(),
  sleep: cancellableSleep,
};
