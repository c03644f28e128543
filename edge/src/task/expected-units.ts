import { type PlanSummary, taskCost } from "@roomcast/shared";

/** Before the source is probed nobody knows what it costs: more than a copy, less than a transcode. */
const UNKNOWN_UNITS = 10;
const PIXELS_PER_SECOND_720P30 = 1280 * 720 * 30;

/** What a task will cost the worker that gets it, as far as an earlier attempt has told. Pure. */
export function expectedUnits(plan: PlanSummary | null): number {
  if (plan === null) return UNKNOWN_UNITS;
  return taskCost(
    plan.video === "copy" ? { video: "copy" } : { video: "transcode", pixelsPerSecond: PIXELS_PER_SECOND_720P30 },
  );
}
