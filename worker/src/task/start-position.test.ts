import type { TaskStateName } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { startPosition } from "./start-position.ts";

const OURS = "11111111-1111-4111-8111-111111111111";
const OTHER = "22222222-2222-4222-8222-222222222222";

function found(taskId: string, positionMs: number, state: TaskStateName = "pushing") {
  return { taskId, item: 0, positionMs, state, attempt: 1, durationMs: 30_000, updatedAtMs: 0 };
}

describe("startPosition", () => {
  it.each([
    ["starts a first attempt without a record at the beginning", null, null, 0],
    ["resumes the record of an earlier task in a first attempt", null, found(OTHER, 9_000, "aborted"), 9_000],
    ["resumes the record of a task that failed in a first attempt", null, found(OTHER, 9_000, "failed"), 9_000],
    ["ignores a record that was played to its end", null, found(OTHER, 9_000, "finished"), 0],
    ["continues a later attempt without Redis where the edge saw it", 7_000, null, 7_000],
    ["continues a later attempt at its own record if that is newer", 7_000, found(OURS, 7_600), 7_600],
    ["continues a later attempt where the edge saw it if that is newer", 8_100, found(OURS, 7_600), 8_100],
    ["does not move a later attempt forward to the record of another task", 7_000, found(OTHER, 25_000), 7_000],
    ["does not move a later attempt back to the record of another task", 7_000, found(OTHER, 100), 7_000],
    ["resumes a later attempt that never played like a first one", 0, found(OTHER, 9_000), 9_000],
    ["does not play a task whose end got lost from the start again", 29_900, found(OURS, 0, "finished"), 29_900],
  ] as const)("%s", (_name, resumeAtMs, record, expected) => {
    const resumeAt = resumeAtMs === null ? null : { item: 0, positionMs: resumeAtMs };
    const start = startPosition({ live: false, taskId: OURS, resumeAt, found: record, seekMs: 0 });
    expect(start).toEqual({ item: 0, positionMs: expected });
  });

  it("starts a live source at its newest, whatever is recorded", () => {
    const resumeAt = { item: 1, positionMs: 7_000 };
    expect(startPosition({ live: true, taskId: OURS, resumeAt, found: found(OURS, 9_000), seekMs: 500 })).toEqual({
      item: 0,
      positionMs: 0,
    });
  });

  it("starts a first attempt where the request asks, unless there is a record to resume", () => {
    const first = { live: false, taskId: OURS, resumeAt: null, seekMs: 4_000 };
    expect(startPosition({ ...first, found: null })).toEqual({ item: 0, positionMs: 4_000 });
    expect(startPosition({ ...first, found: found(OTHER, 9_000) })).toEqual({ item: 0, positionMs: 9_000 });
  });

  it("takes the further item of a playlist as the newer one, whatever the positions in the items", () => {
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

  it.each([
    [
      "after a jump back that Redis has not seen, the edge's older place is not played again",
      3_000_000,
      10,
      600_000,
      12,
      600_000,
    ],
    ["uses the record after a seek back that only Redis has seen", 600_000, 12, 3_000_000, 10, 600_000],
    ["uses the later position, which is the further one, without a seek", 7_600, 12, 7_000, 11, 7_600],
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
});
