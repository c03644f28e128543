import { describe, expect, it } from "vitest";
import { LIVE_TARGET_MS, LiveLatency } from "./live-latency.ts";

/** Runs a source that has `levelMs(t)` queued, minus the media that was caught up or skipped so far. */
function simulate(
  latency: LiveLatency,
  { fromMs = 20, untilMs }: { readonly fromMs?: number; readonly untilMs: number },
  levelMs: (nowMs: number) => number,
): { hurriedMs: number; fastest: number; skips: number[] } {
  let hurriedMs = 0;
  let skippedMs = 0;
  let fastest = 0;
  const skips: number[] = [];
  for (let nowMs = fromMs; nowMs <= untilMs; nowMs += 20) {
    const waitingMs = levelMs(nowMs) - hurriedMs - skippedMs;
    const catchUp = latency.judge(waitingMs, nowMs);
    if (catchUp.name === "skip") {
      skips.push(nowMs);
      skippedMs += waitingMs - LIVE_TARGET_MS;
      continue;
    }
    hurriedMs += catchUp.byMs;
    fastest = Math.max(fastest, catchUp.byMs / 20);
  }
  return { hurriedMs, fastest, skips };
}

describe("LiveLatency", () => {
  it("reduces a slightly too large backlog of a steady source to the target at one and a half times the speed at most", () => {
    const latency = new LiveLatency({ segmented: false, nowMs: 0 });
    const { hurriedMs, fastest, skips } = simulate(latency, { untilMs: 20_000 }, () => 1_300);
    expect(1_300 - hurriedMs).toBeCloseTo(400, 0);
    expect(fastest).toBeLessThanOrEqual(0.5);
    expect(skips).toEqual([]);
  });

  it("skips the old media of a steady source with a large backlog instead of playing it faster", () => {
    const latency = new LiveLatency({ segmented: false, nowMs: 0 });
    expect(simulate(latency, { untilMs: 20_000 }, () => 4_000)).toMatchObject({ hurriedMs: 0, skips: [3_000] });
  });

  it("skips the backlog of a source that was away as soon as it arrives", () => {
    const latency = new LiveLatency({ segmented: false, nowMs: 0 });
    latency.comesBack(5_000, 50_000);
    // Only a part of the backlog arrives in the first moment.
    const { skips } = simulate(latency, { fromMs: 50_000, untilMs: 60_000 }, (nowMs) => (nowMs < 50_100 ? 500 : 5_000));
    expect(skips).toEqual([50_100]);
  });

  it("keeps the media of a source that comes in bursts, after its first burst", () => {
    const latency = new LiveLatency({ segmented: false, nowMs: 0 });
    const level = (nowMs: number) => 3_000 - (nowMs % 3_000);
    latency.comesBack(3_000, 3_000);
    expect(simulate(latency, { fromMs: 3_000, untilMs: 6_000 }, level).skips).toHaveLength(1);
    latency.comesBack(3_000, 6_000);
    expect(simulate(latency, { fromMs: 6_000, untilMs: 60_000 }, level).skips).toEqual([]);
  });

  it("changes nothing for a source whose queue runs low between its bursts", () => {
    const latency = new LiveLatency({ segmented: true, nowMs: 0 });
    const { hurriedMs, skips } = simulate(latency, { untilMs: 60_000 }, (nowMs) => 6_000 - (nowMs % 6_000));
    expect([hurriedMs, skips]).toEqual([0, []]);
  });

  it("does not let latency grow when the source's clock is faster than the worker's", () => {
    const latency = new LiveLatency({ segmented: false, nowMs: 0 });
    const { hurriedMs } = simulate(latency, { untilMs: 3_600_000 }, (nowMs) => 300 + nowMs / 1_000);
    expect(300 + 3_600 - hurriedMs).toBeLessThan(600);
  });
});
