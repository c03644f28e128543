import { expect, test } from "vitest";
import { SMOOTHING_MS, smoothed } from "./smoothed.ts";

test("a smoothed figure follows a change by time, not by how often it is fed", () => {
  const once = smoothed(0, 1, SMOOTHING_MS);
  const often = Array.from({ length: 100 }).reduce<number>((before) => smoothed(before, 1, SMOOTHING_MS / 100), 0);
  expect(once).toBeCloseTo(1 - 1 / Math.E);
  expect(often).toBeCloseTo(once);
});

test("a clock that goes back changes nothing", () => {
  expect(smoothed(0.5, 1, -1000)).toBe(0.5);
});
