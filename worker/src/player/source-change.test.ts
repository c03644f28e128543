import { expect, it } from "vitest";
import { checkSeek, type PlayingNow, reopenAtMs, type SourceChange, sourceChange } from "./source-change.ts";

const PLACE = { item: 2, round: 1 };
const NOW: PlayingNow = { place: PLACE, positionMs: 4_000, durationMs: 9_000, live: false, paused: false };

it.each<[string, Parameters<typeof sourceChange>[0], Partial<PlayingNow>, SourceChange]>([
  [
    "another source, in place of the whole playlist",
    { VideoSrc: "b", SeekSecond: 3 },
    {},
    { role: "switch", place: { item: 0, round: 0 }, startAtMs: 3_000, programme: { items: ["b"], plays: 1 } },
  ],
  ["another position", { SeekSecond: 2.5 }, {}, { role: "switch", place: PLACE, startAtMs: 2_500 }],
  ["other settings: the same source a little ahead", {}, {}, { role: "continue", place: PLACE, startAtMs: 4_250 }],
  ["other settings in a pause", {}, { paused: true }, { role: "continue", place: PLACE, startAtMs: 4_000 }],
  ["other settings of a live source", {}, { live: true }, { role: "switch", place: PLACE, startAtMs: 0 }],
])("a change brings %s", (_name, update, now, wish) => {
  expect(sourceChange(update, { ...NOW, ...now })).toEqual(wish);
});

it("a position is there in a recorded source before its end, and where the end is not known", () => {
  expect(() => checkSeek(8.9, NOW)).not.toThrow();
  expect(() => checkSeek(100, { live: false, durationMs: null })).not.toThrow();
  expect(() => checkSeek(9, NOW)).toThrow("the source is 9.0 s long");
  expect(() => checkSeek(0, { live: true, durationMs: null })).toThrow("a live source is always played at its newest");
});

it.each<[string, number, number | undefined]>([
  ["not", 20_000, undefined],
  ["not where what the room has seen meanwhile is short", 26_000, undefined],
  ["as far ahead as the room came meanwhile, and a little more", 30_000, 42_750],
])("a source that was opened for the room's position is opened again %s", (_how, positionMs, againAtMs) => {
  expect(reopenAtMs({ startAtMs: 20_000, sentForMs: 20_000 }, positionMs)).toBe(againAtMs);
});
