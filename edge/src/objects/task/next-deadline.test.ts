import type { ActiveState } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
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

describe("nextDeadline", () => {
  it.each<[string, Partial<TaskRecord>, string, number]>([
    ["is the placement, at once, for a new task", {}, "place", 1000],
    ["is the next placement for a task that found no room", { placeAtMs: 11_000 }, "place", 11_000],
    ["is the queue timeout when that comes before the next placement", { placeAtMs: 90_000 }, "queueTimeout", 61_000],
    [
      "is the queue timeout for a task that waits to be woken by its region",
      { placeAtMs: null },
      "queueTimeout",
      61_000,
    ],
    ["is the accept timeout for a dispatched task", { state: active("starting") }, "acceptTimeout", 12_000],
    [
      "is the check of an accepted task without reports",
      { state: active("starting"), accepted: true, heardAtMs: 3000 },
      "silence",
      53_000,
    ],
    [
      "is the execution timeout for a running push",
      { state: active("pushing"), accepted: true, startedAtMs: 2000, heardAtMs: 990_000 },
      "executionTimeout",
      1_002_000,
    ],
    [
      "is a short stop timeout after a stop with how=now",
      { state: active("pushing"), accepted: true, stop: { how: "now", reason: "r", atMs: 4000 } },
      "stopTimeout",
      9000,
    ],
    [
      "is a longer stop timeout after a stop with how=tidy",
      { state: active("pushing"), accepted: true, stop: { how: "tidy", reason: "r", atMs: 4000 } },
      "stopTimeout",
      24_000,
    ],
    ["is the report to other objects, at once, for an ended task", { state: finished }, "settle", 9000],
    [
      "is the deletion for an ended task that has reported its end",
      { state: finished, settled: true },
      "retention",
      5_009_000,
    ],
  ])("%s", (_what, rest, kind, atMs) => {
    expect(nextDeadline(record(rest), POLICY)).toEqual({ kind, atMs });
  });
});
