import type { PushRequest } from "./push-request.ts";
import { taskCost } from "./task-cost.ts";
import type { PlanSummary } from "./wire.ts";

/** Before the source is probed nobody knows what it costs: more than a copy, less than a transcode. */
const UNKNOWN_UNITS = 10;
const USUAL = { Width: 1280, Height: 720, Fps: 30 } as const;

/** What a task will cost the worker that gets it, as far as the request and an earlier attempt tell. Pure. */
export function expectedUnits(plan: PlanSummary | null, request: Pick<PushRequest, "VideoEncodeParams"> = {}): number {
  const wanted = request.VideoEncodeParams;
  const copied = plan === null ? wanted === undefined : plan.video === "copy";
  if (copied) return plan === null ? UNKNOWN_UNITS : taskCost({ video: "copy" });
  const { Width = USUAL.Width, Height = USUAL.Height, Fps = USUAL.Fps } = wanted ?? {};
  return taskCost({ video: "transcode", pixelsPerSecond: Width * Height * Fps });
}
