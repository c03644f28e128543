import { describe, expect, it } from "vitest";
import { SilenceWatch } from "./silence-watch.ts";

describe("SilenceWatch", () => {
  it("reports a silence that is longer than the limit, and no shorter ones", () => {
    const watch = new SilenceWatch(0, 1_000);
    expect(watch.look(900, false)).toBe(false);
    expect(watch.look(950, true)).toBe(false);
    expect(watch.look(1_950, false)).toBe(false);
    expect(watch.look(1_951, false)).toBe(true);
  });
});
