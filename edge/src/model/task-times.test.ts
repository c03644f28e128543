import type { PushRequest } from "@roomcast/shared";
import { expect, test } from "vitest";
import { executionLimitMs, firstPlaceAtMs, leftOfMaxDuration } from "./task-times.ts";

const NOW = Date.parse("2026-12-31T12:00:00Z");
const DAY_MS = 86_400_000;

test.each([
  ["without a time to start at: at once", undefined, 0],
  ["shortly before the time to start at", "2026-12-31T20:15:00+08:00", 885_000],
  ["at once where that is less than the lead away", "2026-12-31T12:00:10Z", 0],
  ["at once where the time has passed", "2026-12-30T12:00:00Z", 0],
] as const)("a task is placed %s", (_what, StartAt, afterMs) => {
  expect(firstPlaceAtMs(StartAt === undefined ? {} : { StartAt }, NOW)).toBe(NOW + afterMs);
});

test.each([
  ["as long as the edge allows", {}, DAY_MS],
  ["as long as the request says, though that is longer", { ExecutionTimeout: 604_800 }, 7 * DAY_MS],
  ["as long as the request says, though that is shorter", { ExecutionTimeout: 5, MaxDuration: 60 }, 5000],
  ["never shorter than a long MaxDuration, and a little more", { MaxDuration: 10_080 }, 7 * DAY_MS + 60_000],
  ["as long as the edge allows where MaxDuration is shorter", { MaxDuration: 60 }, DAY_MS],
])("a push may run %s", (_what, request, limitMs) => {
  expect(executionLimitMs(request, DAY_MS)).toBe(limitMs);
});

test.each([
  ["all of it at the start", 60, 0, 60],
  ["in whole minutes", 60, 61_000, 59],
  ["a minute at least", 60, 2 * DAY_MS, 1],
  ["nothing where none was asked for", undefined, 61_000, undefined],
])("of a MaxDuration is left: %s", (_what, MaxDuration, passedMs, left) => {
  // SAFETY: nothing else of a request is looked at.
  const request = (MaxDuration === undefined ? {} : { MaxDuration }) as PushRequest;
  expect(leftOfMaxDuration(request, passedMs).MaxDuration).toBe(left);
});
