import { describe, expect, it } from "vitest";
import { Backoff } from "./backoff.ts";

const OPTIONS = { initialMs: 500, maxMs: 5_000, budgetMs: 60_000, healthyAfterMs: 10_000 };

describe("Backoff", () => {
  it("draws each delay from zero to a bound that doubles up to the longest", () => {
    const longest = new Backoff(OPTIONS, () => 0.999_999);
    const delays = Array.from({ length: 6 }, () => Math.round(longest.failed(0, 0) ?? -1));
    expect(delays).toEqual([500, 1_000, 2_000, 4_000, 5_000, 5_000]);
    expect(new Backoff(OPTIONS, () => 0).failed(0, 0)).toBe(0);
  });

  it("gives up when the budget is spent, and never waits past it", () => {
    const backoff = new Backoff(OPTIONS, () => 1);
    backoff.failed(0, 0);
    expect(backoff.failed(59_900, 0)).toBe(100);
    expect(backoff.failed(60_000, 0)).toBeUndefined();
  });

  it("starts again after the work was healthy for long enough, but not after a short success", () => {
    const backoff = new Backoff(OPTIONS, () => 1);
    backoff.failed(0, 0);
    backoff.failed(1_000, 9_999);
    expect(backoff.failed(2_000, 0)).toBe(2_000);
    expect(backoff.failed(70_000, 10_000)).toBe(500);
  });
});
