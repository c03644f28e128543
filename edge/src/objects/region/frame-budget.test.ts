import { MAX_RUNNING_TASKS } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { FrameBudget } from "./frame-budget.ts";

/** Returns how many frames of this length a worker may send at one time. */
function framesTaken(budget: FrameBudget, workerId: string, { length = 100, nowMs = 0 } = {}): number {
  let frames = 0;
  while (frames < 100_000 && budget.takeFrame(workerId, length, nowMs)) frames += 1;
  return frames;
}

describe("FrameBudget", () => {
  it("lets a worker send four frames for each of its tasks at once, and then a thousand a second", () => {
    const budget = new FrameBudget();
    expect(framesTaken(budget, "w")).toBe(4 * MAX_RUNNING_TASKS);
    expect(framesTaken(budget, "w", { nowMs: 500 })).toBe(500);
    expect(framesTaken(budget, "w", { nowMs: 3_600_000 })).toBe(4 * MAX_RUNNING_TASKS);
  });

  it("lets the largest worker report each second without end", () => {
    const budget = new FrameBudget();
    for (let second = 0; second < 600; second += 1) {
      expect(budget.takeFrame("w", 512 * 1024, second * 1000)).toBe(true);
    }
  });

  it("counts a long frame as several", () => {
    const budget = new FrameBudget();
    expect(framesTaken(budget, "w", { length: 512 * 1024 })).toBeLessThan(100);
  });

  it("does not charge a worker for the frames of another", () => {
    const budget = new FrameBudget();
    framesTaken(budget, "loud");
    expect(framesTaken(budget, "other")).toBe(4 * MAX_RUNNING_TASKS);
  });

  it("gives a worker nothing when the clock goes back", () => {
    const budget = new FrameBudget();
    framesTaken(budget, "w", { nowMs: 10_000 });
    expect(budget.takeFrame("w", 1, 0)).toBe(false);
  });

  it("remembers a loud worker when it forgets the quiet ones of a large fleet", () => {
    const budget = new FrameBudget();
    framesTaken(budget, "loud", { nowMs: 60_000 });
    for (let n = 0; n < 2000; n += 1) budget.takeFrame(`w${n}`, 1, n < 1500 ? 0 : 60_000);
    expect(budget.takeFrame("loud", 1, 60_000)).toBe(false);
  });
});
