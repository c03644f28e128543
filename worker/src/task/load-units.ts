import { expectedUnits, type PushRequest, taskCost } from "@roomcast/shared";
import type { SourceInfo } from "../source/source.ts";

const DEFAULT_FPS = 30;

/**
 * Returns the units of this worker's capacity that a task uses: the sum over all sources that it has open. Pure.
 *
 * @param held null for a source that is still being opened; its cost is estimated from the request
 */
export function loadUnits(held: readonly (SourceInfo | null)[], request: PushRequest): number {
  const expected = expectedUnits(null, request);
  return held.reduce((sum, info) => sum + (info === null ? expected : costOf(info)), 0);
}

function costOf(info: SourceInfo): number {
  return info.plan.video === "copy"
    ? taskCost({ video: "copy" })
    : taskCost({
        video: "transcode",
        pixelsPerSecond: info.width * info.height * (info.fps ?? DEFAULT_FPS),
        toneMapped: info.toneMapped,
      });
}
