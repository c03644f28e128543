import type { ActiveState } from "@roomcast/shared";
import { expect, test } from "vitest";
import { newTaskRecord } from "./new-task-record.test-support.ts";
import { nextDeadline } from "./next-deadline.ts";
import type { TaskRecord } from "./task-record.ts";

const POLICY = {
  queueTimeoutMs: 60_000,
  acceptTimeoutMs: 10_000,
  executionTimeoutMs: 1_000_000,
  stopTimeoutMs: 5000,
  tidyStopTimeoutMs: 20_000,
  taskSilenceMs: 50_000,
  retentionMs: 5_000_000,
};

function record(rest: Partial<TaskRecord>): TaskRecord {
  return { ...newTaskRecord({ createdAtMs: 1000 }), ...rest };
}

const active = (name: ActiveState["name"]): ActiveState => ({
  name,
  sinceMs: 2000,
  attempt: 1,
  holder: { region: "ap-x", workerId: "w" },
});
const finished = { name: "finished", sinceMs: 9000, attempt: 1 } as const;

test.each<[string, Partial<TaskRecord>, string, number]>([
  ["a new task is placed at once", {}, "place", 1000],
  ["a task that found no room tries again", { placeAtMs: 11_000 }, "place", 11_000],
  ["a task that waited too long fails before it tries again", { placeAtMs: 90_000 }, "queueTimeout", 61_000],
  ["a task that is only woken by its region still times out", { placeAtMs: null }, "queueTimeout", 61_000],
  ["a dispatch must be accepted", { state: active("starting") }, "acceptTimeout", 12_000],
  [
    "an accepted task that is not heard of is asked for",
    { state: active("starting"), accepted: true, heardAtMs: 3000 },
    "silence",
    53_000,
  ],
  [
    "a push ends at its longest",
    { state: active("pushing"), accepted: true, startedAtMs: 2000, heardAtMs: 990_000 },
    "executionTimeout",
    1_002_000,
  ],
  [
    "a stop at once must come soon",
    { state: active("pushing"), accepted: true, stop: { how: "now", reason: "r", atMs: 4000 } },
    "stopTimeout",
    9000,
  ],
  [
    "a tidy stop gets more time",
    { state: active("pushing"), accepted: true, stop: { how: "tidy", reason: "r", atMs: 4000 } },
    "stopTimeout",
    24_000,
  ],
  ["an ended task tells the others", { state: finished }, "settle", 9000],
  ["an ended task that has told is deleted in the end", { state: finished, settled: true }, "retention", 5_009_000],
])("%s", (_what, rest, kind, atMs) => {
  expect(nextDeadline(record(rest), POLICY)).toEqual({ kind, atMs });
});
