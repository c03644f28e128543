import { describe, expect, it, vi } from "vitest";
import { TICK_MS, Ticker } from "./ticker.ts";

describe("Ticker", () => {
  it("calls all its listeners in the same tick and stops its timer when there are none", () => {
    vi.useFakeTimers();
    try {
      const ticker = new Ticker();
      const seen: string[] = [];
      const removeFirst = ticker.add(() => seen.push("first"));
      const removeSecond = ticker.add(() => seen.push("second"));
      expect(vi.getTimerCount()).toBe(1);
      vi.advanceTimersByTime(TICK_MS * 3);
      expect(seen).toEqual(["first", "second", "first", "second", "first", "second"]);
      removeFirst();
      removeSecond();
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});
