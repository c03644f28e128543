import { describe, expect, it } from "vitest";
import { type Backlog, creationPace, type Pace } from "./creation-pace.ts";

const IN_A_BURST: Backlog = { waiting: 500, quietMs: 1, burstMs: 20, lastTookMs: 20, catchingUp: false };

describe("creationPace", () => {
  it.each<[string, Partial<Backlog>, Pace]>([
    [
      "creates the objects of tasks at once outside a burst",
      { waiting: 8, burstMs: Number.POSITIVE_INFINITY },
      { pauseMs: 0, count: 4, inBurst: false },
    ],
    [
      "creates up to two hundred objects a second when a single task waits, even after many creates",
      { waiting: 1 },
      { pauseMs: 5, count: 1, inBurst: false },
    ],
    ["spends a twentieth of the time on creation in a burst", {}, { pauseMs: 380, count: 1, inBurst: true }],
    [
      "creates at most three objects a second in a burst, however fast each is",
      { lastTookMs: 1 },
      { pauseMs: 300, count: 1, inBurst: true },
    ],
    [
      "limits the pause after an object that took very long",
      { lastTookMs: 5000 },
      { pauseMs: 500, count: 1, inBurst: true },
    ],
    ["still regards a burst that was slowed down as one", { burstMs: 300 }, { pauseMs: 380, count: 1, inBurst: true }],
    [
      "creates at most two hundred objects a second after a burst",
      { quietMs: 100, burstMs: 200 },
      { pauseMs: 20, count: 4, inBurst: false },
    ],
    [
      "no longer slows down when the load continues for longer than a burst may",
      { catchingUp: true },
      { pauseMs: 20, count: 4, inBurst: false },
    ],
    [
      "does not regard fifteen creates a second as a burst, however many tasks wait",
      { quietMs: 60, burstMs: 600 },
      { pauseMs: 20, count: 4, inBurst: false },
    ],
    [
      "does not regard a clock that goes back as a burst",
      { quietMs: -5, burstMs: -5 },
      { pauseMs: 20, count: 4, inBurst: false },
    ],
  ])("%s", (_what, backlog, expected) => {
    expect(creationPace({ ...IN_A_BURST, ...backlog })).toEqual(expected);
  });
});
