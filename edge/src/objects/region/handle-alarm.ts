import { CLOSE } from "@roomcast/shared";
import type { Config } from "../../base/config.ts";
import type { RegionState } from "./region-state.ts";
import { releaseWhenLost } from "./release-lost-tasks.ts";
import type { SocketState } from "./worker-sockets.ts";

/**
 * An alarm counts as late if it comes at least this long after its time. It then checks workers whose frames may still
 * be unread again, this long afterwards.
 */
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
    else if (state.phase === "greeting" && lateMs >= UNHEARD_MS && state.putOff !== true) {
      // The worker's hello may have arrived without being read yet. The deadline is extended only once. Otherwise many
      // such sockets could make the alarm late again and again, and so keep themselves open.
      const putOffToMs = nowMs + UNHEARD_MS;
      regionState.sockets.set(socket, { ...state, deadlineMs: putOffToMs, putOff: true });
      later(putOffToMs);
    } else if (state.phase !== "greeting" && mayBeUnheard(lateMs, nowMs - deadlineMs, regionState.config))
      later(nowMs + UNHEARD_MS);
    else await regionState.drop(socket, CLOSE.silent, "Nothing was heard of the worker for too long.");
  }
  // These sets are made once, because making them for each of thousands of assignments would take too long.
  const connected = new Set(regionState.sockets.greetedIds());
  const reconciling = new Set(regionState.sockets.reconcilingIds());
  for (const assignment of regionState.assignments.all()) {
    later(releaseWhenLost(regionState, assignment, { nowMs, connected, reconciling }));
  }
  later(regionState.expected.forgetLeft(nowMs));
  const expectedMs = regionState.expected.leftMs(regionState.returnTime(nowMs));
  if (expectedMs > 0) later(nowMs + expectedMs);
  if (nextMs < NEVER) await regionState.wakeAt(nextMs);
}

/**
 * Returns true if a silent worker may have sent frames that are not read yet: whatever delayed the alarm has delayed
 * the frames too. Such a worker is checked again, for a limited time. Pure.
 */
function mayBeUnheard(lateMs: number, overdueMs: number, { heartbeatTimeoutMs }: Config): boolean {
  return lateMs >= UNHEARD_MS && overdueMs < heartbeatTimeoutMs;
}

function silentAtMs(state: SocketState, { heartbeatTimeoutMs }: Config): number {
  if (state.phase === "ready") return state.lastSeenMs + heartbeatTimeoutMs;
  return state.phase === "gone" ? NEVER : state.deadlineMs;
}
