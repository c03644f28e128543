import { describe, expect, it } from "vitest";
import { checkSeek, type PlayingNow, reopenAtMs, type SourceChange, sourceChange } from "./source-change.ts";

const PLACE = { item: 2, round: 1 };
const NOW: PlayingNow = { place: PLACE, positionMs: 4_000, durationMs: 9_000, live: false, paused: false };

describe("sourceChange", () => {
  it.each<[string, Parameters<typeof sourceChange>[0], Partial<PlayingNow>, SourceChange]>([
    [
      "the new source in place of the whole playlist",
      { VideoSrc: "b", SeekSecond: 3 },
      {},
      { role: "switch", place: { item: 0, round: 0 }, startAtMs: 3_000, programme: { items: ["b"], plays: 1 } },
    ],
    [
      "the current item at another position",
      { SeekSecond: 2.5 },
      {},
      { role: "switch", place: PLACE, startAtMs: 2_500 },
    ],
    ["the same source a little ahead for other settings", {}, {}, { role: "continue", place: PLACE, startAtMs: 4_250 }],
    [
      "the same position for other settings in a pause",
      {},
      { paused: true },
      { role: "continue", place: PLACE, startAtMs: 4_000 },
    ],
    [
      "a live source at its newest for other settings",
      {},
      { live: true },
      { role: "switch", place: PLACE, startAtMs: 0 },
    ],
  ])("returns %s", (_name, update, now, change) => {
    expect(sourceChange(update, { ...NOW, ...now })).toEqual(change);
  });

  it("accepts a position in a recorded source before its end or if its end is unknown, and rejects others", () => {
    expect(() => checkSeek(8.9, NOW)).not.toThrow();
    expect(() => checkSeek(100, { live: false, durationMs: null })).not.toThrow();
    expect(() => checkSeek(9, NOW)).toThrow("the source is 9.0 s long");
    expect(() => checkSeek(0, { live: true, durationMs: null })).toThrow(
      "a live source is always played at its newest",
    );
  });

  describe("reopenAtMs", () => {
    it.each<[string, number, number | undefined]>([
      ["does not open a source again at the room's position", 20_000, undefined],
      ["does not open a source again that the room has passed by little", 26_000, undefined],
      ["opens a source again as far ahead as the room advanced meanwhile, and a little more", 30_000, 42_750],
    ])("%s", (_how, positionMs, againAtMs) => {
      expect(reopenAtMs({ startAtMs: 20_000, roomPositionMs: 20_000 }, positionMs)).toBe(againAtMs);
    });
  });
});
