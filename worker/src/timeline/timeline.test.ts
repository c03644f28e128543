import { describe, expect, it } from "vitest";
import type { OutgoingMedia } from "../publisher/publisher.ts";
import type { MediaTag } from "../source/media-tag.ts";
import { audioTag, ScriptedSource, scriptedTags, videoTag } from "../source/scripted-source.ts";
import { Timeline } from "./timeline.ts";

class Recorder {
  readonly sent: { readonly media: OutgoingMedia; readonly tag: MediaTag }[] = [];

  send(media: OutgoingMedia, tag: MediaTag): void {
    this.sent.push({ media, tag });
  }

  pictures(): number[] {
    return this.sent
      .filter(({ tag }) => tag.kind === "video" && !tag.sequenceHeader)
      .map((each) => each.media.timestampMs);
  }

  sounds(): number[] {
    return this.sent
      .filter(({ tag }) => tag.kind === "audio" && !tag.sequenceHeader)
      .map((each) => each.media.timestampMs);
  }
}

function run(timeline: Timeline, recorder: Recorder, fromMs: number, toMs: number): void {
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += 20) timeline.advance(nowMs, recorder);
}

function largestStep(timestamps: number[]): number {
  return Math.max(...timestamps.slice(1).map((at, n) => at - (timestamps[n] ?? 0)));
}

describe("pacing", () => {
  it("sends each tag when its time has come and none before", () => {
    const timeline = new Timeline();
    const recorder = new Recorder();
    timeline.cutTo(new ScriptedSource().push(...scriptedTags({ fromMs: 0, durationMs: 2_000 })), 5_000, recorder);
    timeline.advance(5_000, recorder);
    expect(recorder.pictures()).toEqual([0]);
    run(timeline, recorder, 5_000, 6_000);
    expect(recorder.pictures()).toHaveLength(31);
    expect(recorder.pictures().at(-1)).toBe(1_000);
  });

  it("sends the sequence headers before the first picture, at its timestamp", () => {
    const timeline = new Timeline();
    const recorder = new Recorder();
    timeline.cutTo(new ScriptedSource().push(...scriptedTags({ fromMs: 90_000, durationMs: 100 })), 0, recorder);
    timeline.advance(0, recorder);
    expect(
      recorder.sent.slice(0, 2).map(({ tag, media }) => [tag.kind, tag.sequenceHeader, media.timestampMs]),
    ).toEqual([
      ["video", true, 0],
      ["audio", true, 0],
    ]);
  });

  it("goes on from now when a recorded source was late, without a gap in the timestamps and without hurrying", () => {
    const timeline = new Timeline();
    const recorder = new Recorder();
    const tags = scriptedTags({ fromMs: 0, durationMs: 3_000 });
    const source = new ScriptedSource().push(...tags.filter((tag) => tag.dtsMs < 1_000));
    timeline.cutTo(source, 0, recorder);
    run(timeline, recorder, 0, 4_000);
    source.push(...tags.filter((tag) => tag.dtsMs >= 1_000));
    timeline.advance(4_020, recorder);
    const before = recorder.pictures().length;
    run(timeline, recorder, 4_040, 4_540);
    expect(recorder.pictures().length - before).toBeLessThanOrEqual(16);
    expect(largestStep(recorder.pictures())).toBeLessThanOrEqual(34);
  });

  it("tells the position of what was sent, not of what was read ahead", () => {
    const timeline = new Timeline();
    const recorder = new Recorder();
    timeline.cutTo(new ScriptedSource().push(...scriptedTags({ fromMs: 60_000, durationMs: 2_000 })), 0, recorder);
    run(timeline, recorder, 0, 1_000);
    expect(timeline.positionMs).toBeCloseTo(61_000, -1);
  });
});

describe("a cut", () => {
  it("starts at the first keyframe and drops the sound before it", () => {
    const timeline = new Timeline();
    const recorder = new Recorder();
    const source = new ScriptedSource().push(
      videoTag(0, true, true),
      audioTag(0, true),
      audioTag(480),
      videoTag(490, false),
      videoTag(500, true),
      audioTag(501),
    );
    timeline.cutTo(source, 0, recorder);
    run(timeline, recorder, 0, 100);
    expect(recorder.pictures()).toEqual([0]);
    expect(recorder.sounds()).toEqual([1]);
  });

  it("to another source keeps timestamps continuous: one frame between the pictures, no sound twice", () => {
    const timeline = new Timeline();
    const recorder = new Recorder();
    timeline.cutTo(new ScriptedSource().push(...scriptedTags({ fromMs: 0, durationMs: 5_000 })), 0, recorder);
    run(timeline, recorder, 0, 2_000);
    timeline.cutTo(new ScriptedSource().push(...scriptedTags({ fromMs: 700_000, durationMs: 5_000 })), 2_010, recorder);
    run(timeline, recorder, 2_010, 4_000);
    expect(largestStep(recorder.pictures())).toBeLessThanOrEqual(44);
    expect(largestStep(recorder.sounds())).toBeLessThanOrEqual(44);
    for (const track of [recorder.pictures(), recorder.sounds()]) {
      expect(track).toEqual(track.toSorted((a, b) => a - b));
      expect(new Set(track).size).toBe(track.length);
    }
  });

  it("after a break puts the next picture where the clock stands", () => {
    const timeline = new Timeline();
    const recorder = new Recorder();
    timeline.cutTo(new ScriptedSource().push(...scriptedTags({ fromMs: 0, durationMs: 1_000 })), 0, recorder);
    run(timeline, recorder, 0, 1_000);
    timeline.clear();
    timeline.cutTo(new ScriptedSource().push(...scriptedTags({ fromMs: 0, durationMs: 1_000 })), 8_000, recorder);
    timeline.advance(8_000, recorder);
    expect(recorder.pictures().at(-1)).toBe(8_000);
  });
});

describe("a live source", () => {
  it("that begins with an old picture group is brought to the newest at once", () => {
    const timeline = new Timeline();
    const recorder = new Recorder();
    timeline.cutTo(
      new ScriptedSource({ live: true }).push(...scriptedTags({ fromMs: 0, durationMs: 2_000 })),
      0,
      recorder,
    );
    timeline.advance(0, recorder);
    expect(recorder.pictures().at(-1)).toBeGreaterThan(1_500);
  });

  it("that comes in segments is not hurried into an empty queue", () => {
    const timeline = new Timeline();
    const recorder = new Recorder();
    const source = new ScriptedSource({ live: true, segmented: true });
    timeline.cutTo(source.push(...scriptedTags({ fromMs: 0, durationMs: 6_000 })), 0, recorder);
    timeline.advance(0, recorder);
    expect(recorder.pictures()).toEqual([0]);
  });

  it("that the room cannot take is dropped up to its next keyframe and counted", () => {
    const timeline = new Timeline();
    const recorder = new Recorder();
    const tags = scriptedTags({ fromMs: 0, durationMs: 3_000 });
    const source = new ScriptedSource({ live: true, segmented: true }).push(...tags.filter((tag) => tag.dtsMs < 1_500));
    timeline.cutTo(source, 0, recorder);
    run(timeline, recorder, 0, 500);
    timeline.dropWaiting();
    source.push(...tags.filter((tag) => tag.dtsMs >= 1_500));
    const before = recorder.sent.length;
    run(timeline, recorder, 1_500, 2_500);
    const next = recorder.sent.slice(before).find(({ tag }) => tag.kind === "video");
    expect(next?.tag.keyframe).toBe(true);
    expect(next?.tag.dtsMs).toBeCloseTo(2_000);
    expect(timeline.droppedFrames).toBe(60 - 16);
  });
});

describe("the end", () => {
  it("is reached only when the source has ended and all of it was sent", () => {
    const timeline = new Timeline();
    const recorder = new Recorder();
    const source = new ScriptedSource().push(...scriptedTags({ fromMs: 0, durationMs: 1_000 })).finish();
    timeline.cutTo(source, 0, recorder);
    run(timeline, recorder, 0, 900);
    expect(timeline.drained).toBe(false);
    run(timeline, recorder, 900, 1_000);
    expect(timeline.drained).toBe(true);
  });
});
