import { CLOSE } from "@roomcast/shared";
import type { Config } from "../../base/config.ts";
import type { Assignment } from "./assignments.ts";
import type { RegionState } from "./region-state.ts";
import type { SocketState } from "./worker-sockets.ts";

/** A reservation that no report has confirmed for this long is checked against its task. */
export const CHECK_RESERVATION_AFTER_MS = 30_000;
const RETRY_MS = 1000;
/** An alarm counts as late from here on, and waits this long for frames that have come meanwhile. */
const UNHEARD_MS = 1000;
const NEVER = Number.POSITIVE_INFINITY;

/** Closes sockets that are silent for too long, releases lost tasks, and sets the next alarm. */
export async function handleAlarm(regionState: RegionState): Promise<void> {
  const lateMs = regionState.alarmCame();
  const nowMs = Date.now();
  let nextMs = NEVER;
  const later = (atMs: number) => {
    nextMs = Math.min(nextMs, atMs);
  };
  for (const [socket, state] of regionState.sockets.all()) {
    const deadlineMs = silentAtMs(state, regionState.config);
    if (deadlineMs > nowMs) later(deadlineMs);
    else if (mayBeUnheard(lateMs, nowMs - deadlineMs, regionState.config)) later(nowMs + UNHEARD_MS);
    else await regionState.drop(socket, CLOSE.silent, "Nothing was heard of the worker for too long.");
  }
  // Once, and not for each of thousands of assignments.
  const connected = new Set(regionState.sockets.greetedIds());
  const reconciling = new Set(regionState.sockets.reconcilingIds());
  for (const assignment of regionState.assignments.all()) {
    later(checkAssignment(regionState, assignment, { nowMs, connected, reconciling }));
  }
  later(regionState.expected.forgetLeft(nowMs));
  const expectedMs = regionState.expected.leftMs(regionState.returnTime(nowMs));
  if (expectedMs > 0) later(nowMs + expectedMs);
  if (nextMs < NEVER) await regionState.wakeAt(nextMs);
}

/**
 * True if a silent worker may have sent frames that are not read yet: a late alarm was delayed together with everything
 * else. Such a worker is checked again, for a limited time. Pure.
 */
function mayBeUnheard(lateMs: number, overdueMs: number, { heartbeatTimeoutMs }: Config): boolean {
  return lateMs >= UNHEARD_MS && overdueMs < heartbeatTimeoutMs;
}

interface Now {
  readonly nowMs: number;
  /** Workers that have said hello. */
  readonly connected: ReadonlySet<string>;
  /** Workers among them whose tasks are still being compared. */
  readonly reconciling: ReadonlySet<string>;
}

/** Does or starts what is due for an assignment. Returns when to look again, Unix ms. */
function checkAssignment(
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

function silentAtMs(state: SocketState, { heartbeatTimeoutMs }: Config): number {
  if (state.phase === "ready") return state.lastSeenMs + heartbeatTimeoutMs;
  return state.phase === "gone" ? NEVER : state.deadlineMs;
}
