import { expect, it } from "vitest";
import { SilenceWatch } from "./silence-watch.ts";

it("finds what has been silent for longer than the limit, not what is heard now and then", () => {
  const watch = new SilenceWatch(0, 1_000);
  expect(watch.look(900, false)).toBe(false);
  expect(watch.look(950, true)).toBe(false);
  expect(watch.look(1_950, false)).toBe(false);
  expect(watch.look(1_951, false)).toBe(true);
});
