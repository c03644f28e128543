import type { Assignment } from "./assignments.ts";
import type { RegionState } from "./region-state.ts";

/** A reservation that no report has confirmed for this long is checked against its task. */
export const CHECK_RESERVATION_AFTER_MS = 30_000;
const RETRY_MS = 1000;
const NEVER = Number.POSITIVE_INFINITY;

interface Now {
  readonly nowMs: number;
  /** The connected workers that have sent their hello. */
  readonly connected: ReadonlySet<string>;
  /** The connected workers whose tasks are still being compared with the Task objects. */
  readonly reconciling: ReadonlySet<string>;
}

/**
 * Releases the task of an assignment if its worker is lost and the grace is over. Checks a reservation that no report
 * has confirmed. Both are started without waiting for them. Returns the time of the next check, Unix ms.
 */
export function releaseWhenLost(
  regionState: RegionState,
  assignment: Assignment,
  { nowMs, connected, reconciling }: Now,
): number {
  const { taskId, workerId, releaseAtMs, confirmed, sinceMs } = assignment;
  if (releaseAtMs !== null && releaseAtMs > nowMs) return releaseAtMs;
  const returnTime = regionState.returnTime(nowMs);
  if (regionState.expected.has(workerId, returnTime)) {
    // The worker's socket was lost when the runtime restarted, so the worker gets time to connect again.
    const untilMs = regionState.expected.untilMs(returnTime.returnMs);
    regionState.assignments.put({ ...assignment, releaseAtMs: untilMs });
    return untilMs;
  }
  if (releaseAtMs !== null) {
    // If the worker is back, the comparison of its tasks will set a new release time.
    if (reconciling.has(workerId)) return nowMs + RETRY_MS;
    regionState.checks.start(taskId, () => releaseIfLost(regionState, assignment));
    return nowMs + RETRY_MS;
  }
  if (!connected.has(workerId)) {
    // The worker's socket ended without a close event.
    const graceEndMs = nowMs + regionState.config.workerGraceMs;
    regionState.assignments.put({ ...assignment, releaseAtMs: graceEndMs });
    return graceEndMs;
  }
  if (confirmed) return NEVER;
  if (sinceMs + CHECK_RESERVATION_AFTER_MS > nowMs) return sinceMs + CHECK_RESERVATION_AFTER_MS;
  regionState.checks.start(taskId, () => checkReservation(regionState, assignment));
  return nowMs + RETRY_MS;
}

/**
 * Releases a task if it still has to be released. Releases are paced, so the worker may have come back with the task
 * meanwhile.
 */
async function releaseIfLost(regionState: RegionState, { taskId, attempt, workerId }: Assignment): Promise<void> {
  const assignment = regionState.assignments.match(taskId, attempt, workerId);
  if (assignment === undefined || assignment.releaseAtMs === null || assignment.releaseAtMs > Date.now()) return;
  if (regionState.sockets.reconcilingIds().includes(workerId)) return;
  await regionState.release(assignment);
}

async function checkReservation(regionState: RegionState, { taskId, attempt, workerId }: Assignment): Promise<void> {
  const isHeld = await regionState.tasks.holds(taskId, { attempt, workerId });
  const assignment = regionState.assignments.match(taskId, attempt, workerId);
  if (assignment === undefined || assignment.confirmed) return;
  if (isHeld) return regionState.assignments.put({ ...assignment, sinceMs: Date.now() });
  regionState.waiting.remove(taskId);
  regionState.unassign(taskId, attempt);
}
