import { type Cost, type MeasureCostOptions, measureCost, medianCost } from "../pushers/measure-cost.ts";
import type { Pusher } from "../pushers/pusher.ts";

/** The cost of N simultaneous streams for each side, as medians of the rounds. */
export interface SideBySideReport {
  readonly streams: number;
  readonly rounds: number;
  readonly ours: Cost;
  readonly bare: Cost;
  /** Null if it is not installed here, or not asked for. */
  readonly gstreamer: Cost | null;
}

export interface MeasureSideBySideOptions extends MeasureCostOptions {
  readonly ours: Pusher;
  readonly bare: Pusher;
  readonly gstreamer: Pusher | null;
  readonly rounds: number;
}

/** All sides in turn in each round, so that what changes on the machine meanwhile meets all of them. */
export async function measureSideBySide(options: MeasureSideBySideOptions): Promise<SideBySideReport> {
  const { streams, rounds, gstreamer } = options;
  // SAFETY: empty lists are lists of costs.
  const costs = { ours: [] as Cost[], bare: [] as Cost[], gstreamer: [] as Cost[] };
  for (let round = 0; round < rounds; round += 1) {
    costs.ours.push(await measureOrRepeat(options.ours, options));
    costs.bare.push(await measureOrRepeat(options.bare, options));
    if (gstreamer !== null) costs.gstreamer.push(await measureOrRepeat(gstreamer, options));
  }
  return {
    streams,
    rounds,
    ours: medianCost(costs.ours),
    bare: medianCost(costs.bare),
    gstreamer: gstreamer === null ? null : medianCost(costs.gstreamer),
  };
}

/** A moment in which the machine paused spoils one measurement, and must not spoil the whole run. */
async function measureOrRepeat(pusher: Pusher, options: MeasureCostOptions): Promise<Cost> {
  try {
    return await measureCost(pusher, options);
  } catch (thrown) {
    options.signal.throwIfAborted();
    options.onProgress(`once more, because it failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    return measureCost(pusher, options);
  }
}
