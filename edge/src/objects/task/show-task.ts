import { isTerminal, scfStatus, shownOrigin, type TaskView } from "@roomcast/shared";
import { isoTime } from "../../base/iso-time.ts";
import type { TaskRecord } from "./task-record.ts";

/** Returns the task as the API shows it. Pure. */
export function showTask(record: TaskRecord): TaskView {
  const { state, progress } = record;
  return {
    taskId: record.taskId,
    status: scfStatus(state.name),
    state: state.name,
    since: isoTime(state.sinceMs),
    attempt: state.attempt,
    createdAt: isoTime(record.createdAtMs),
    startedAt: record.startedAtMs === null ? null : isoTime(record.startedAtMs),
    endedAt: isTerminal(state) ? isoTime(state.sinceMs) : null,
    region: record.region,
    workerId: record.lastWorkerId,
    request: shownRequest(record.request),
    progress: progress === null ? null : shownProgress(progress),
    plan: record.plan,
    error: state.name === "failed" ? state.error : null,
    reason: state.name === "aborted" ? state.reason : null,
    room: record.room === undefined ? null : shownRoom(record.room),
    warnings: (record.warnings ?? []).map(({ code, message, atMs }) => ({ code, message, at: isoTime(atMs) })),
  };
}

/** Shortens the callback's URL to its origin, because an older edge has stored the path too. */
function shownRequest(request: TaskRecord["request"]): TaskView["request"] {
  const { CallbackUrl } = request;
  return CallbackUrl === undefined ? request : { ...request, CallbackUrl: shownOrigin(CallbackUrl) };
}

function shownProgress({ updatedAtMs, ...numbers }: NonNullable<TaskRecord["progress"]>): TaskView["progress"] {
  return { ...numbers, updatedAt: isoTime(updatedAtMs) };
}

function shownRoom({ confirmedAtMs, others }: NonNullable<TaskRecord["room"]>): TaskView["room"] {
  return { confirmedAt: confirmedAtMs === null ? null : isoTime(confirmedAtMs), viewers: others };
}
