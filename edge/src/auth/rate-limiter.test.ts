import { describe, expect, it } from "vitest";
import { RateLimiter } from "./rate-limiter.ts";

const limit = (nowMs: number) => ({ perSecond: 20, nowMs });

/** Returns how many of `tries` simultaneous calls are allowed. */
function taken(limiter: RateLimiter, key: string, nowMs: number, tries: number): number {
  return Array.from({ length: tries }).filter(() => isAllowed(limiter, key, nowMs)).length;
}

function isAllowed(limiter: RateLimiter, key: string, nowMs: number): boolean {
  try {
    limiter.take(key, limit(nowMs));
    return true;
  } catch {
    return false;
  }
}

describe("RateLimiter", () => {
  it("refuses a call over the limit with a retryable error", () => {
    const limiter = new RateLimiter();
    taken(limiter, "a", 0, 20);
    expect(() => limiter.take("a", limit(0))).toThrow(
      expect.objectContaining({ code: "RequestLimitExceeded", retryable: true, httpStatus: 429 }),
    );
  });

  it("allows a burst of one second's calls, then as many calls as the elapsed time earns", () => {
    const limiter = new RateLimiter();
    expect(taken(limiter, "a", 0, 100)).toBe(20);
    expect(taken(limiter, "a", 100, 100)).toBe(2);
    expect(taken(limiter, "a", 120, 100)).toBe(0);
    expect(taken(limiter, "a", 150, 100)).toBe(1);
    expect(taken(limiter, "a", 60_000, 100)).toBe(20);
  });

  it("counts each key separately", () => {
    const limiter = new RateLimiter();
    expect(taken(limiter, "a", 0, 30)).toBe(20);
    expect(taken(limiter, "b", 0, 30)).toBe(20);
  });

  it("neither earns nor loses calls when the clock goes back", () => {
    const limiter = new RateLimiter();
    expect(taken(limiter, "a", 10_000, 20)).toBe(20);
    expect(taken(limiter, "a", 5000, 20)).toBe(0);
  });

  it("counts nothing when there is no limit", () => {
    const limiter = new RateLimiter();
    for (let n = 0; n < 1000; n += 1) limiter.take("a", { perSecond: 0, nowMs: 0 });
    expect(limiter.size).toBe(0);
  });

  it("forgets callers that have stopped calling", () => {
    const limiter = new RateLimiter();
    for (let n = 0; n < 10_000; n += 1) limiter.take(`caller ${n}`, limit(0));
    limiter.take("one more", limit(60_000));
    expect(limiter.size).toBe(1);
  });
});
