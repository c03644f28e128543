import { expect, it } from "vitest";
import type { IncomingSource } from "./incoming-sources.ts";
import { type AirSituation, mayGoOnAir } from "./may-go-on-air.ts";

const NOW: AirSituation = { nowMs: 100, notBeforeMs: undefined, positionMs: 4_000, paused: false, drained: false };

it.each<[string, IncomingSource["role"], Partial<AirSituation>, boolean]>([
  ["a start, at once", "start", {}, true],
  ["a start before its time", "start", { notBeforeMs: 101 }, false],
  ["a start at its time", "start", { notBeforeMs: 100 }, true],
  ["the next while the one before plays", "next", {}, false],
  ["the next after it", "next", { drained: true }, true],
  ["the same, reopened, before its position", "continue", {}, false],
  ["at its position", "continue", { positionMs: 5_000 }, true],
  ["where nothing is left of the old one", "continue", { drained: true }, true],
  ["in a pause", "continue", { paused: true }, true],
  ["what was asked for", "switch", {}, true],
  ["a live source that is back", "return", {}, true],
])("may be cut to: %s", (_name, role, now, expected) => {
  expect(mayGoOnAir(role, 5_000, { ...NOW, ...now })).toBe(expected);
});
