import { isTerminal, scfStatus, type TaskView } from "@roomcast/shared";
import type { TaskRecord } from "./task-record.ts";

/** What the API shows of a task. Pure. */
export function showTask(record: TaskRecord): TaskView {
  const { state, progress } = record;
  return {
    taskId: record.taskId,
    status: scfStatus(state.name),
    state: state.name,
    since: time(state.sinceMs),
    attempt: state.attempt,
    createdAt: time(record.createdAtMs),
    startedAt: record.startedAtMs === null ? null : time(record.startedAtMs),
    endedAt: isTerminal(state) ? time(state.sinceMs) : null,
    region: record.region,
    workerId: record.lastWorkerId,
    request: record.request,
    progress: progress === null ? null : shownProgress(progress),
    plan: record.plan,
    error: state.name === "failed" ? state.error : null,
    reason: state.name === "aborted" ? state.reason : null,
    room: record.room === undefined ? null : shownRoom(record.room),
    warnings: (record.warnings ?? []).map(({ code, message, atMs }) => ({ code, message, at: time(atMs) })),
  };
}

function shownProgress({ updatedAtMs, ...numbers }: NonNullable<TaskRecord["progress"]>): TaskView["progress"] {
  return { ...numbers, updatedAt: time(updatedAtMs) };
}

function shownRoom({ confirmedAtMs, others }: NonNullable<TaskRecord["room"]>): TaskView["room"] {
  return { confirmedAt: confirmedAtMs === null ? null : time(confirmedAtMs), viewers: others };
}

export function time(ms: number): string {
  return new Date(ms).toISOString();
}
