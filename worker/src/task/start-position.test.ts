import type { TaskStateName } from "@roomcast/shared";
import { expect, test } from "vitest";
import { startPosition } from "./start-position.ts";

const OURS = "11111111-1111-4111-8111-111111111111";
const OTHER = "22222222-2222-4222-8222-222222222222";

function found(taskId: string, positionMs: number, state: TaskStateName = "pushing") {
  return { taskId, item: 0, positionMs, state, attempt: 1, durationMs: 30_000, updatedAtMs: 0 };
}

test.each([
  ["a first attempt without a record starts at the beginning", null, null, 0],
  ["a first attempt resumes the record of an earlier task", null, found(OTHER, 9_000, "aborted"), 9_000],
  ["a first attempt resumes the record of a task that failed", null, found(OTHER, 9_000, "failed"), 9_000],
  ["a record that was played to its end counts as none", null, found(OTHER, 9_000, "finished"), 0],
  ["a later attempt without Redis goes on where the edge saw it", 7_000, null, 7_000],
  ["a later attempt takes its own record where that is newer", 7_000, found(OURS, 7_600), 7_600],
  ["a later attempt takes what the edge saw where that is newer", 8_100, found(OURS, 7_600), 8_100],
  ["the record of another task does not move a later attempt forward", 7_000, found(OTHER, 25_000), 7_000],
  ["nor backward", 7_000, found(OTHER, 100), 7_000],
  ["a later attempt that never played resumes like a first one", 0, found(OTHER, 9_000), 9_000],
  ["a task whose end got lost is not played again from the start", 29_900, found(OURS, 0, "finished"), 29_900],
] as const)("%s", (_name, resumeAtMs, record, expected) => {
  const resumeAt = resumeAtMs === null ? null : { item: 0, positionMs: resumeAtMs };
  const start = startPosition({ live: false, taskId: OURS, resumeAt, found: record, seekMs: 0 });
  expect(start).toEqual({ item: 0, positionMs: expected });
});

test("a live source starts at its newest, whatever is recorded", () => {
  const resumeAt = { item: 1, positionMs: 7_000 };
  expect(startPosition({ live: true, taskId: OURS, resumeAt, found: found(OURS, 9_000), seekMs: 500 })).toEqual({
    item: 0,
    positionMs: 0,
  });
});

test("a first attempt begins where the request asks, unless there is a record to resume", () => {
  const first = { live: false, taskId: OURS, resumeAt: null, seekMs: 4_000 };
  expect(startPosition({ ...first, found: null })).toEqual({ item: 0, positionMs: 4_000 });
  expect(startPosition({ ...first, found: found(OTHER, 9_000) })).toEqual({ item: 0, positionMs: 9_000 });
});

test("of a playlist the further source is the newer one, whatever the positions in them", () => {
  const record = { ...found(OURS, 200), item: 2 };
  const start = startPosition({
    live: false,
    taskId: OURS,
    resumeAt: { item: 1, positionMs: 9_000 },
    found: record,
    seekMs: 0,
  });
  expect(start).toEqual({ item: 2, positionMs: 200 });
});

test.each([
  [
    "after a jump back that Redis has not seen, the edge's older place is not played again",
    3_000_000,
    10,
    600_000,
    12,
    600_000,
  ],
  ["after a jump back that only Redis has seen, the record counts", 600_000, 12, 3_000_000, 10, 600_000],
  ["without a jump the later one is the further one", 7_600, 12, 7_000, 11, 7_600],
] as const)("%s", (_name, recordedMs, recordedAtMs, seenMs, seenAtMs, expected) => {
  const start = startPosition({
    live: false,
    taskId: OURS,
    resumeAt: { item: 0, positionMs: seenMs },
    seenAtMs,
    found: { ...found(OURS, recordedMs), updatedAtMs: recordedAtMs },
    seekMs: 0,
  });
  expect(start).toEqual({ item: 0, positionMs: expected });
});
