import { expect, it } from "vitest";
import { LiveLatency } from "./live-latency.ts";

/** Runs a source of which `levelMs(t)` waits, less what was hurried so far. */
function simulate(
  latency: LiveLatency,
  untilMs: number,
  levelMs: (nowMs: number) => number,
): { hurriedMs: number; fastest: number } {
  let hurriedMs = 0;
  let fastest = 0;
  for (let nowMs = 20; nowMs <= untilMs; nowMs += 20) {
    const stepMs = latency.hurryMs(levelMs(nowMs) - hurriedMs, nowMs);
    hurriedMs += stepMs;
    fastest = Math.max(fastest, stepMs / 20);
  }
  return { hurriedMs, fastest };
}

it("brings a steady source that waits for two seconds down to the target, never faster than one and a half", () => {
  const { hurriedMs, fastest } = simulate(new LiveLatency({ segmented: false, nowMs: 0 }), 20_000, () => 2_000);
  expect(2_000 - hurriedMs).toBeCloseTo(400, 0);
  expect(fastest).toBeLessThanOrEqual(0.5);
});

it("leaves a source alone that runs low between its bursts", () => {
  const { hurriedMs } = simulate(
    new LiveLatency({ segmented: true, nowMs: 0 }),
    60_000,
    (nowMs) => 6_000 - (nowMs % 6_000),
  );
  expect(hurriedMs).toBe(0);
});

it("does not let latency grow when the source's clock is faster than ours", () => {
  const { hurriedMs } = simulate(
    new LiveLatency({ segmented: false, nowMs: 0 }),
    3_600_000,
    (nowMs) => 300 + nowMs / 1_000,
  );
  expect(300 + 3_600 - hurriedMs).toBeLessThan(600);
});
