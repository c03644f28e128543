import { type MeasureCostOptions, measureCost } from "../pushers/measure-cost.ts";
import type { Pusher } from "../pushers/pusher.ts";
import type { CostRow } from "./push-report.ts";

export interface MeasurePushOptions extends Omit<MeasureCostOptions, "streams"> {
  readonly ours: Pusher;
  readonly bare: Pusher;
  readonly streams: readonly number[];
}

/** Cost of N streams at once, ours and bare in turn, for each N. */
export async function measurePush(options: MeasurePushOptions): Promise<CostRow[]> {
  const rows: CostRow[] = [];
  for (const streams of options.streams) {
    const ours = await measureCost(options.ours, { ...options, streams });
    const bare = await measureCost(options.bare, { ...options, streams });
    rows.push({
      streams,
      ours,
      bare,
      cpuRatio: ours.cpuSecondsPerStreamMinute / bare.cpuSecondsPerStreamMinute,
      pssRatio: ours.pssMbPerStream / bare.pssMbPerStream,
    });
  }
  return rows;
}
