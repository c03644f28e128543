import { describe, expect, it } from "vitest";
import type { IncomingSource } from "./incoming-sources.ts";
import { type AirSituation, mayGoOnAir } from "./may-go-on-air.ts";

const NOW: AirSituation = { nowMs: 100, notBeforeMs: undefined, positionMs: 4_000, paused: false, drained: false };

describe("mayGoOnAir", () => {
  it.each<[string, IncomingSource["role"], Partial<AirSituation>, boolean]>([
    ["allows a start at once", "start", {}, true],
    ["does not allow a start before its time", "start", { notBeforeMs: 101 }, false],
    ["allows a start at its time", "start", { notBeforeMs: 100 }, true],
    ["does not allow the next item while the current one plays", "next", {}, false],
    ["allows the next item after the current one", "next", { drained: true }, true],
    ["does not allow the same source, opened again, before its position", "continue", {}, false],
    ["allows the same source at its position", "continue", { positionMs: 5_000 }, true],
    ["allows the same source when nothing is left of the old one", "continue", { drained: true }, true],
    ["allows the same source in a pause", "continue", { paused: true }, true],
    ["allows a requested source", "switch", {}, true],
    ["allows a live source that is back", "return", {}, true],
  ])("%s", (_name, role, now, expected) => {
    expect(mayGoOnAir(role, 5_000, { ...NOW, ...now })).toBe(expected);
  });
});
