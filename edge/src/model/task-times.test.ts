import type { PushRequest } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { executionLimitMs, firstPlaceAtMs, leftOfMaxDuration } from "./task-times.ts";

const NOW = Date.parse("2026-12-31T12:00:00Z");
const DAY_MS = 86_400_000;

describe("Task times", () => {
  it.each([
    ["at once when the request has no StartAt", undefined, 0],
    ["shortly before StartAt", "2026-12-31T20:15:00+08:00", 885_000],
    ["at once when StartAt is nearer than the lead time", "2026-12-31T12:00:10Z", 0],
    ["at once when StartAt has passed", "2026-12-30T12:00:00Z", 0],
  ] as const)("places a task %s", (_what, StartAt, afterMs) => {
    expect(firstPlaceAtMs(StartAt === undefined ? {} : { StartAt }, NOW)).toBe(NOW + afterMs);
  });

  it.each([
    ["the time that the edge allows by default", {}, DAY_MS],
    ["the request's ExecutionTimeout when that is longer than the default", { ExecutionTimeout: 604_800 }, 7 * DAY_MS],
    [
      "the request's ExecutionTimeout when that is shorter than MaxDuration",
      { ExecutionTimeout: 5, MaxDuration: 60 },
      5000,
    ],
    ["a little more than a long MaxDuration", { MaxDuration: 10_080 }, 7 * DAY_MS + 60_000],
    ["the default when MaxDuration is shorter", { MaxDuration: 60 }, DAY_MS],
  ])("limits the execution of a push to %s", (_what, request, limitMs) => {
    expect(executionLimitMs(request, DAY_MS)).toBe(limitMs);
  });

  it.each([
    ["all of it at the start", 60, 0, 60],
    ["whole minutes of it", 60, 61_000, 59],
    ["at least a minute of it", 60, 2 * DAY_MS, 1],
    ["no limit when the request has none", undefined, 61_000, undefined],
  ])("computes the rest of MaxDuration: %s", (_what, MaxDuration, passedMs, left) => {
    // SAFETY: no other field of the request is read.
    const request = (MaxDuration === undefined ? {} : { MaxDuration }) as PushRequest;
    expect(leftOfMaxDuration(request, passedMs).MaxDuration).toBe(left);
  });
});
