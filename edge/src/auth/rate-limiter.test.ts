import { expect, test } from "vitest";
import { RateLimiter } from "./rate-limiter.ts";

const limit = (nowMs: number) => ({ perSecond: 20, nowMs });

/** How many of so many tries at once are allowed. */
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

test("a call too many is told to wait", () => {
  const limiter = new RateLimiter();
  taken(limiter, "a", 0, 20);
  expect(() => limiter.take("a", limit(0))).toThrow(
    expect.objectContaining({ code: "RequestLimitExceeded", retryable: true, httpStatus: 429 }),
  );
});

test("a second's worth of calls may come at once, and then as many as the time brings", () => {
  const limiter = new RateLimiter();
  expect(taken(limiter, "a", 0, 100)).toBe(20);
  expect(taken(limiter, "a", 100, 100)).toBe(2);
  expect(taken(limiter, "a", 120, 100)).toBe(0);
  expect(taken(limiter, "a", 150, 100)).toBe(1);
  expect(taken(limiter, "a", 60_000, 100)).toBe(20);
});

test("each credential and action has calls of its own", () => {
  const limiter = new RateLimiter();
  expect(taken(limiter, "a", 0, 30)).toBe(20);
  expect(taken(limiter, "b", 0, 30)).toBe(20);
});

test("a clock that goes back neither gives nor takes calls", () => {
  const limiter = new RateLimiter();
  expect(taken(limiter, "a", 10_000, 20)).toBe(20);
  expect(taken(limiter, "a", 5000, 20)).toBe(0);
});

test("without a limit nothing is counted", () => {
  const limiter = new RateLimiter();
  for (let n = 0; n < 1000; n += 1) limiter.take("a", { perSecond: 0, nowMs: 0 });
  expect(limiter.size).toBe(0);
});

test("callers that come no more are forgotten", () => {
  const limiter = new RateLimiter();
  for (let n = 0; n < 10_000; n += 1) limiter.take(`caller ${n}`, limit(0));
  limiter.take("one more", limit(60_000));
  expect(limiter.size).toBe(1);
});
