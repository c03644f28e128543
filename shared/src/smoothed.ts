/**
 * The time constant of a smoothed figure: it follows 63 % of a change after this time, and 95 % after three times as
 * long. Worker and edge smooth in the same way, so that a measured load can be compared with the estimates for the same
 * seconds.
 */
export const SMOOTHING_MS = 5000;

/** Exponential smoothing that does not depend on how often it is fed. Pure. */
export function smoothed(before: number, value: number, elapsedMs: number): number {
  return before + (value - before) * (1 - Math.exp(-Math.max(0, elapsedMs) / SMOOTHING_MS));
}
