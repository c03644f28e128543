import { describe, expect, it } from "vitest";
import type { MediaTag } from "../../media/media-tag.ts";
import { audioTag, videoTag } from "../scripted-source.test-support.ts";
import { SegmentClock, type SegmentLane } from "./segment-clock.ts";

interface Given {
  readonly kind: MediaTag["kind"];
  readonly dtsMs: number;
  readonly breaks: boolean;
}

function newLane(clock = new SegmentClock(), track: "main" | "audio" = "main"): { lane: SegmentLane; given: Given[] } {
  const given: Given[] = [];
  const lane = clock.lane(track, ({ kind, dtsMs, sequenceHeader }, breaks) => {
    if (!sequenceHeader) given.push({ kind, dtsMs, breaks });
  });
  return { lane, given };
}

const times = (given: readonly Given[], kind: MediaTag["kind"]) =>
  given.filter((tag) => tag.kind === kind).map(({ dtsMs }) => dtsMs);

describe("SegmentClock", () => {
  it("places the first picture of a run at its segment's time and keeps the distance of the sound", () => {
    const { lane, given } = newLane();
    lane.begin({ startMs: 8000, discontinuity: true });
    lane.take(audioTag(90_010));
    lane.take(videoTag(90_000, true));
    lane.take(audioTag(90_031));
    expect(times(given, "video")).toEqual([8000]);
    expect(times(given, "audio")).toEqual([8010, 8031]);
    expect(given.some(({ breaks }) => breaks)).toBe(false);
  });

  it("follows the media's own clock in continuous segments", () => {
    const { lane, given } = newLane();
    lane.begin({ startMs: 0, discontinuity: true });
    lane.take(videoTag(1000, true));
    lane.begin({ startMs: 4000, discontinuity: false });
    lane.take(videoTag(5040, true));
    expect(times(given, "video")).toEqual([0, 4040]);
  });

  it("uses the playlist's time again at a discontinuity and marks the first tag of each track after it", () => {
    const { lane, given } = newLane();
    lane.begin({ startMs: 0, discontinuity: true });
    lane.take(videoTag(500_000, true));
    lane.begin({ startMs: 4000, discontinuity: true });
    for (const tag of [videoTag(0, true), audioTag(5), videoTag(40, false), audioTag(26)]) lane.take(tag);
    expect(given.slice(1)).toEqual([
      { kind: "video", dtsMs: 4000, breaks: true },
      { kind: "audio", dtsMs: 4005, breaks: true },
      { kind: "video", dtsMs: 4040, breaks: false },
      { kind: "audio", dtsMs: 4026, breaks: false },
    ]);
  });

  it("detects a restart of the clock without a discontinuity tag", () => {
    const { lane, given } = newLane();
    lane.begin({ startMs: 0, discontinuity: true });
    lane.take(videoTag(60_000, true));
    lane.begin({ startMs: 4000, discontinuity: false });
    lane.take(videoTag(0, true));
    expect(given.at(-1)).toEqual({ kind: "video", dtsMs: 4000, breaks: true });
  });

  it("detects a restart of the clock after late tags of the previous segment", () => {
    const { lane, given } = newLane();
    lane.begin({ startMs: 0, durationMs: 4000, discontinuity: true });
    for (const tag of [videoTag(0, true), audioTag(0), videoTag(3920, false), audioTag(3950)]) lane.take(tag);
    lane.begin({ startMs: 4000, durationMs: 4000, discontinuity: false });
    const late = [videoTag(3960, false), videoTag(900_000, true), audioTag(3971), videoTag(900_040, false)];
    for (const tag of [...late, audioTag(900_010)]) lane.take(tag);
    expect(given.slice(4)).toEqual([
      { kind: "video", dtsMs: 3960, breaks: false },
      { kind: "video", dtsMs: 4000, breaks: true },
      { kind: "audio", dtsMs: 3971, breaks: false },
      { kind: "video", dtsMs: 4040, breaks: false },
      { kind: "audio", dtsMs: 4010, breaks: true },
    ]);
  });

  it("keeps a gap in the media of a segment and ignores a duration that is too short", () => {
    const { lane, given } = newLane();
    lane.begin({ startMs: 0, durationMs: 10_000, discontinuity: true });
    for (const atMs of [0, 40, 6000]) lane.take(videoTag(atMs, true));
    expect(times(given, "video")).toEqual([0, 40, 6000]);
    for (let atMs = 8000; atMs < 60_000; atMs += 2000) lane.take(videoTag(atMs, true));
    expect(times(given, "video").at(-1)).toBe(58_000);
    expect(given.some(({ breaks }) => breaks)).toBe(false);
  });

  it.each([
    ["long", 10_000],
    ["short", 1000],
  ])("follows the media's own clock when the durations in the playlist are too %s", (_what, declaredMs) => {
    const { lane, given } = newLane();
    for (let n = 0; n < 8; n += 1) {
      lane.begin({ startMs: n * declaredMs, durationMs: declaredMs, discontinuity: n === 0 });
      for (let atMs = n * 4000; atMs < (n + 1) * 4000; atMs += 40) {
        lane.take(audioTag(90_000 + atMs));
        lane.take(videoTag(90_000 + atMs, atMs % 4000 === 0));
      }
    }
    expect(times(given, "video")).toEqual(Array.from({ length: 800 }, (_, n) => n * 40));
    expect(given.some(({ breaks }) => breaks)).toBe(false);
  });

  it("detects a jump of the clock when the durations in the playlist are wrong", () => {
    const { lane, given } = newLane();
    for (let n = 0; n < 4; n += 1) {
      lane.begin({ startMs: n * 10_000, durationMs: 10_000, discontinuity: n === 0 });
      const baseMs = n < 3 ? 0 : 700_000;
      for (let atMs = n * 4000; atMs < (n + 1) * 4000; atMs += 40) lane.take(videoTag(baseMs + atMs, true));
    }
    expect(given.filter(({ breaks }) => breaks)).toEqual([{ kind: "video", dtsMs: 30_000, breaks: true }]);
    expect(given).toHaveLength(400);
  });

  it("places the sound of a separate playlist on the picture's clock", () => {
    const clock = new SegmentClock();
    const main = newLane(clock);
    const audio = newLane(clock, "audio");
    main.lane.begin({ startMs: 0, discontinuity: true });
    main.lane.take(videoTag(10_000, true));
    audio.lane.begin({ startMs: 0, discontinuity: true });
    audio.lane.take(audioTag(10_150));
    audio.lane.flush();
    expect(times(audio.given, "audio")).toEqual([150]);
  });

  it("places a segment with sound only by its own beginning", () => {
    const { lane, given } = newLane();
    lane.begin({ startMs: 2000, discontinuity: true });
    for (let n = 0; n < 100; n += 1) lane.take(audioTag(70_000 + n * 21));
    lane.flush();
    expect(times(given, "audio")[0]).toBe(2000);
    expect(given).toHaveLength(100);
  });

  it("counts from a picture's presentation time, not from its decode time", () => {
    const { lane, given } = newLane();
    lane.begin({ startMs: 0, discontinuity: true });
    lane.take({ ...videoTag(1000, true), compositionMs: 80 });
    expect(times(given, "video")).toEqual([-80]);
  });
});
