import { expect, test } from "vitest";
import { type Backlog, creationPace, type Pace } from "./creation-pace.ts";

const IN_A_BURST: Backlog = { waiting: 500, quietMs: 1, burstMs: 20, lastTookMs: 20, catchingUp: false };

test.each<[string, Partial<Backlog>, Pace]>([
  [
    "tasks that come alone get their objects at once",
    { waiting: 8, burstMs: Number.POSITIVE_INFINITY },
    { pauseMs: 0, count: 4, inBurst: false },
  ],
  [
    "a task that waits alone gets its object soon, however many have come just before: two hundred a second",
    { waiting: 1 },
    { pauseMs: 5, count: 1, inBurst: false },
  ],
  ["in a burst objects are made in a twentieth of the time", {}, { pauseMs: 380, count: 1, inBurst: true }],
  ["however fast one is made, at most three a second", { lastTookMs: 1 }, { pauseMs: 300, count: 1, inBurst: true }],
  [
    "an object that takes very long does not stop the others",
    { lastTookMs: 5000 },
    { pauseMs: 500, count: 1, inBurst: true },
  ],
  ["a burst that was slowed down is one still", { burstMs: 300 }, { pauseMs: 380, count: 1, inBurst: true }],
  [
    "after a burst at most two hundred a second are made",
    { quietMs: 100, burstMs: 200 },
    { pauseMs: 20, count: 4, inBurst: false },
  ],
  [
    "what goes on for longer than a burst may is none any more",
    { catchingUp: true },
    { pauseMs: 20, count: 4, inBurst: false },
  ],
  [
    "fifteen a second are no burst, whatever waits",
    { quietMs: 60, burstMs: 600 },
    { pauseMs: 20, count: 4, inBurst: false },
  ],
  ["a clock that goes back is no burst", { quietMs: -5, burstMs: -5 }, { pauseMs: 20, count: 4, inBurst: false }],
])("%s", (_what, backlog, expected) => {
  expect(creationPace({ ...IN_A_BURST, ...backlog })).toEqual(expected);
});
