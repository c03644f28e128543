import { expect, test } from "vitest";
import { type Backlog, handOverPace } from "./hand-over-pace.ts";

const IN_A_BURST: Backlog = { waiting: 500, oldestMs: 900, quietMs: 1, burstMs: 20, lastTookMs: 10 };

test.each<[string, Partial<Backlog>, { pauseMs: number; count: number }]>([
  [
    "tasks that come alone get their objects at once",
    { waiting: 8, burstMs: Number.POSITIVE_INFINITY },
    { pauseMs: 0, count: 4 },
  ],
  ["in a burst objects are made in a twentieth of the time", {}, { pauseMs: 190, count: 1 }],
  ["however fast one is made, at most ten a second", { lastTookMs: 1 }, { pauseMs: 100, count: 1 }],
  ["an object that takes very long does not stop the others", { lastTookMs: 5000 }, { pauseMs: 500, count: 1 }],
  ["a burst that was slowed down is one still", { burstMs: 2000 }, { pauseMs: 190, count: 1 }],
  ["after a burst they are made as fast as they can be", { quietMs: 100, burstMs: 200 }, { pauseMs: 0, count: 4 }],
  ["a burst without end keeps none waiting for longer than 10 s", { oldestMs: 10_000 }, { pauseMs: 0, count: 4 }],
  ["a clock that goes back is no burst", { quietMs: -5, burstMs: -5 }, { pauseMs: 0, count: 4 }],
])("%s", (_what, backlog, expected) => {
  expect(handOverPace({ ...IN_A_BURST, ...backlog })).toEqual(expected);
});
