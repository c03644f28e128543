import { CLOSE } from "@roomcast/shared";
import type { Config } from "../../base/config.ts";
import { warn } from "../../base/warn.ts";
import type { Assignment } from "./assignments.ts";
import type { RegionState } from "./region-state.ts";
import type { SocketState } from "./worker-sockets.ts";

/** A reservation that no report has confirmed for this long is checked against its task. */
export const CHECK_RESERVATION_AFTER_MS = 30_000;
const RETRY_MS = 1000;
/** An alarm is late from here on, and so long it takes to read what has come meanwhile. */
const UNHEARD_MS = 1000;
const NEVER = Number.POSITIVE_INFINITY;

/** Closes sockets that are silent for too long, gives lost tasks back, and sees to it that it is called again in time. */
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
  const checks = regionState.assignments.all().map(async (assignment) => {
    later(
      await checkAssignment(regionState, assignment, { nowMs, connected, reconciling }).catch((thrown: unknown) => {
        warn("assignment not checked", thrown);
        return Date.now() + RETRY_MS;
      }),
    );
  });
  await Promise.all(checks);
  later(regionState.expected.forgetLeft(nowMs));
  const expectedMs = regionState.expected.leftMs(regionState.returnTime(nowMs));
  if (expectedMs > 0) later(nowMs + expectedMs);
  if (nextMs < NEVER) await regionState.wakeAt(nextMs);
}

/**
 * An alarm that comes late was held up with everything else: what workers have said meanwhile may not have been read yet.
 * Then they are looked at once more, but not for ever. Pure.
 */
function mayBeUnheard(lateMs: number, overdueMs: number, { heartbeatTimeoutMs }: Config): boolean {
  return lateMs >= UNHEARD_MS && overdueMs < heartbeatTimeoutMs;
}

interface Now {
  readonly nowMs: number;
  /** Workers that have said hello. */
  readonly connected: ReadonlySet<string>;
  /** Of these, those that are still being asked for their tasks. */
  readonly reconciling: ReadonlySet<string>;
}

/** Does what is due for an assignment and says when to look again, Unix ms. */
async function checkAssignment(
  regionState: RegionState,
  assignment: Assignment,
  { nowMs, connected, reconciling }: Now,
): Promise<number> {
  const { taskId, attempt, workerId, releaseAtMs, confirmed, sinceMs } = assignment;
  if (releaseAtMs !== null && releaseAtMs > nowMs) return releaseAtMs;
  const returnTime = regionState.returnTime(nowMs);
  if (regionState.expected.has(workerId, returnTime)) {
    // Its socket ended with the runtime: it is dialling.
    const untilMs = regionState.expected.untilMs(returnTime.returnMs);
    regionState.assignments.put({ ...assignment, releaseAtMs: untilMs });
    return untilMs;
  }
  if (releaseAtMs !== null) {
    // It is back, and what it says of this task comes next and sets the time anew.
    if (reconciling.has(workerId)) return nowMs + RETRY_MS;
    await regionState.release(assignment);
    return NEVER;
  }
  if (!connected.has(workerId)) {
    // Its socket ended without a word.
    const graceEndMs = nowMs + regionState.config.workerGraceMs;
    regionState.assignments.put({ ...assignment, releaseAtMs: graceEndMs });
    return graceEndMs;
  }
  if (confirmed) return NEVER;
  if (sinceMs + CHECK_RESERVATION_AFTER_MS > nowMs) return sinceMs + CHECK_RESERVATION_AFTER_MS;
  if (await regionState.tasks.holds(taskId, { attempt, workerId })) return nowMs + CHECK_RESERVATION_AFTER_MS;
  regionState.waiting.remove(taskId);
  regionState.unassign(taskId, attempt);
  return NEVER;
}

function silentAtMs(state: SocketState, { heartbeatTimeoutMs }: Config): number {
  if (state.phase === "ready") return state.lastSeenMs + heartbeatTimeoutMs;
  return state.phase === "gone" ? NEVER : state.deadlineMs;
}
