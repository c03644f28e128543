import type { PushRequest } from "./push-request.ts";
import { taskCost } from "./task-cost.ts";
import type { PlanSummary } from "./wire.ts";

/** Before the source is probed its cost is not known: this is more than a copy and less than a transcode. */
const UNKNOWN_UNITS = 10;
const USUAL = { Width: 1280, Height: 720, Fps: 30 } as const;

/** Returns the expected cost of a task for its worker, from the request and the plan of an earlier attempt. Pure. */
export function expectedUnits(plan: PlanSummary | null, request: Pick<PushRequest, "VideoEncodeParams"> = {}): number {
  const wanted = request.VideoEncodeParams;
  const copied = plan === null ? wanted === undefined : plan.video === "copy";
  if (copied) return plan === null ? UNKNOWN_UNITS : taskCost({ video: "copy" });
  const { Width = USUAL.Width, Height = USUAL.Height, Fps = USUAL.Fps } = wanted ?? {};
  return taskCost({ video: "transcode", pixelsPerSecond: Width * Height * Fps });
}
