import { describe, expect, it } from "vitest";
import { ArrivalPace } from "./arrival-pace.ts";

/** Judges a stream of which a burst comes at once and the rest at a rate, every 100 ms until it is decided. */
function judged({ burstMs, rate, lengthMs = 3_600_000 }: { burstMs: number; rate: number; lengthMs?: number }) {
  const pace = new ArrivalPace();
  for (let elapsedMs = 0; elapsedMs <= 10_000; elapsedMs += 100) {
    const verdict = pace.judge({ elapsedMs, mediaMs: Math.min(lengthMs, burstMs + rate * elapsedMs) });
    if (verdict !== "undecided") return { verdict, elapsedMs };
  }
  return undefined;
}

describe("ArrivalPace", () => {
  it.each([
    ["without a burst", { burstMs: 0, rate: 1 }],
    ["with the group of pictures that its server kept", { burstMs: 10_000, rate: 1 }],
    ["that its server sends a little too fast at first", { burstMs: 20_000, rate: 1.5 }],
    ["that gives nothing", { burstMs: 0, rate: 0 }],
  ])("takes a stream for live %s, after a moment", (_what, stream) => {
    expect(judged(stream)).toEqual({ verdict: "live", elapsedMs: 1500 });
  });

  it.each([
    ["at once", { burstMs: 3_600_000, rate: 0 }, 0],
    ["at a hundred times its speed", { burstMs: 0, rate: 100 }, 400],
    ["at four times its speed", { burstMs: 0, rate: 4 }, 4000],
  ])("takes a stream for a recording that arrives %s", (_what, stream, elapsedMs) => {
    expect(judged(stream)).toEqual({ verdict: "recording", elapsedMs });
  });
});
