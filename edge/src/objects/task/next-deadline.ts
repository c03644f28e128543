import { isTerminal } from "@roomcast/shared";
import type { Config } from "../../base/config.ts";
import { executionLimitMs, queueTimeoutMs } from "../../model/task-times.ts";
import { roomOver } from "./room-sight.ts";
import type { TaskRecord } from "./task-record.ts";

export type DeadlineKind =
  /** Look for a worker. */
  | "place"
  | "queueTimeout"
  | "acceptTimeout"
  | "stopTimeout"
  | "executionTimeout"
  /** The room was dismissed, or has been empty for the time of EmptyRoomTimeout. */
  | "roomOver"
  /** Ask the region whether the worker still has the task. */
  | "silence"
  /** Tell the other objects that the task has ended. */
  | "settle"
  /** Delete the task. */
  | "retention";

export interface Deadline {
  readonly kind: DeadlineKind;
  readonly atMs: number;
}

export type DeadlinePolicy = Pick<
  Config,
  | "queueTimeoutMs"
  | "acceptTimeoutMs"
  | "executionTimeoutMs"
  | "stopTimeoutMs"
  | "tidyStopTimeoutMs"
  | "taskSilenceMs"
  | "retentionMs"
>;

/** Returns the nearest of a task's deadlines. The others can wait, because a Durable Object has one alarm. Pure. */
export function nextDeadline(record: TaskRecord, policy: DeadlinePolicy): Deadline {
  return deadlines(record, policy).reduce((nearest, deadline) => (deadline.atMs < nearest.atMs ? deadline : nearest));
}

function deadlines(record: TaskRecord, policy: DeadlinePolicy): [Deadline, ...Deadline[]] {
  const { state, stop } = record;
  if (isTerminal(state)) {
    return record.settled
      ? [{ kind: "retention", atMs: state.sinceMs + policy.retentionMs }]
      : [{ kind: "settle", atMs: state.sinceMs }];
  }
  if (state.name === "queued") {
    const timeout = {
      kind: "queueTimeout",
      atMs: record.waitingSinceMs + queueTimeoutMs(record.request, policy),
    } as const;
    return record.placeAtMs === null ? [timeout] : [{ kind: "place", atMs: record.placeAtMs }, timeout];
  }
  const active: [Deadline, ...Deadline[]] = [{ kind: "silence", atMs: record.heardAtMs + policy.taskSilenceMs }];
  if (!record.accepted) active.push({ kind: "acceptTimeout", atMs: state.sinceMs + policy.acceptTimeoutMs });
  if (record.startedAtMs !== null) {
    active.push({
      kind: "executionTimeout",
      atMs: record.startedAtMs + executionLimitMs(record.request, policy.executionTimeoutMs),
    });
  }
  const over = stop === null ? roomOver(record.room, record.request.EmptyRoomTimeout) : null;
  if (over !== null) active.push({ kind: "roomOver", atMs: over.atMs });
  if (stop !== null) {
    const timeoutMs = stop.how === "now" ? policy.stopTimeoutMs : policy.tidyStopTimeoutMs;
    active.push({ kind: "stopTimeout", atMs: stop.atMs + timeoutMs });
  }
  return active;
}
