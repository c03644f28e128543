import { expect, it } from "vitest";
import type { ChangeWish } from "./change-wish.ts";
import { SecondTries } from "./second-tries.ts";

const WISH: ChangeWish = { role: "next", place: { item: 1, round: 0 }, startAtMs: 0 };

it("are made until the budget is spent", () => {
  const tries = new SecondTries(1_000);
  expect(tries.pending).toBeUndefined();
  expect(tries.failed(WISH, 0)).toBe(true);
  expect(tries.pending).toBe(WISH);
  expect(tries.take(500)).toBe(WISH);
  expect([tries.pending, tries.take(500)]).toEqual([undefined, undefined]);
  expect(tries.failed(WISH, 999)).toBe(true);
  expect(tries.take(1_000)).toBe(WISH);
  expect(tries.failed(WISH, 1_000)).toBe(false);
  expect(tries.take(9_000)).toBeUndefined();
});

it("are given up for something else without a new budget, and have a new one once the source was there", () => {
  const tries = new SecondTries(1_000);
  tries.failed(WISH, 0);
  tries.drop();
  expect(tries.take(900)).toBeUndefined();
  expect(tries.failed(WISH, 1_000)).toBe(false);
  tries.reset();
  expect(tries.failed(WISH, 2_000)).toBe(true);
});
