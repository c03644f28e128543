import type { Assignment } from "./assignments.ts";
import type { RegionState } from "./region-state.ts";

/** A reservation that no report has confirmed for this long is checked against its task. */
export const CHECK_RESERVATION_AFTER_MS = 30_000;
const RETRY_MS = 1000;
const NEVER = Number.POSITIVE_INFINITY;

interface Now {
  readonly nowMs: number;
  /** Workers that have said hello. */
  readonly connected: ReadonlySet<string>;
  /** Workers among them whose tasks are still being compared. */
  readonly reconciling: ReadonlySet<string>;
}

/**
 * Releases the task of an assignment if its worker is lost and the grace is over, and checks a reservation that no report has
 * confirmed. Both are started, not awaited. Returns the time of the next check, Unix ms.
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
    // Its socket ended with the runtime, and it is connecting again.
    const untilMs = regionState.expected.untilMs(returnTime.returnMs);
    regionState.assignments.put({ ...assignment, releaseAtMs: untilMs });
    return untilMs;
  }
  if (releaseAtMs !== null) {
    // The worker is back, and the comparison of its tasks sets a new time.
    if (reconciling.has(workerId)) return nowMs + RETRY_MS;
    regionState.checks.start(taskId, () => releaseIfLost(regionState, assignment));
    return nowMs + RETRY_MS;
  }
  if (!connected.has(workerId)) {
    // Its socket ended without a close event.
    const graceEndMs = nowMs + regionState.config.workerGraceMs;
    regionState.assignments.put({ ...assignment, releaseAtMs: graceEndMs });
    return graceEndMs;
  }
  if (confirmed) return NEVER;
  if (sinceMs + CHECK_RESERVATION_AFTER_MS > nowMs) return sinceMs + CHECK_RESERVATION_AFTER_MS;
  regionState.checks.start(taskId, () => checkReservation(regionState, assignment));
  return nowMs + RETRY_MS;
}

/** Releases are paced, so the worker may be back with the task by then. */
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
