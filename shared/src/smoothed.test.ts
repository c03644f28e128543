import { describe, expect, it } from "vitest";
import { SMOOTHING_MS, smoothed } from "./smoothed.ts";

describe("smoothed", () => {
  it("follows a change by the elapsed time, not by the number of updates", () => {
    const once = smoothed(0, 1, SMOOTHING_MS);
    const often = Array.from({ length: 100 }).reduce<number>((before) => smoothed(before, 1, SMOOTHING_MS / 100), 0);
    expect(once).toBeCloseTo(1 - 1 / Math.E);
    expect(often).toBeCloseTo(once);
  });

  it("keeps the figure when the clock goes back", () => {
    expect(smoothed(0.5, 1, -1000)).toBe(0.5);
  });
});
