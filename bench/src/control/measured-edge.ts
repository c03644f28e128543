import { fileURLToPath } from "node:url";
import { type EdgeWorkerd, startEdgeWorkerd } from "@roomcast/dev/stack/edge-workerd";

const YARDSTICK = {
  entry: fileURLToPath(new URL("yardstick-worker.mjs", import.meta.url)),
  objects: { BARE: "Bare" },
};
/**
 * Costs are measured here, not how soon silence is noticed: on a busy machine a process may not run for seconds, and a
 * fleet of which some workers were cut off is measured in vain. How late the edge answers is in the report.
 */
const HEARTBEAT_TIMEOUT_MS = "30000";

/**
 * The edge and the yardstick in one workerd.
 *
 * @param settings variables of the edge, instead of their defaults
 */
export function startMeasuredEdge(settings: Readonly<Record<string, string>> = {}): Promise<EdgeWorkerd> {
  return startEdgeWorkerd({ settings: { HEARTBEAT_TIMEOUT_MS, ...settings }, companion: YARDSTICK });
}
