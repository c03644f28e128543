import { describe, expect, it } from "vitest";
import type { MediaTag } from "../media/media-tag.ts";
import type { OutgoingMedia } from "../publisher/publisher.ts";
import { audioTag, ScriptedSource, scriptedTags, videoTag } from "../source/scripted-source.test-support.ts";
import type { FillFrame, GapFiller } from "./gap-filler.ts";
import { Timeline } from "./timeline.ts";

class Recorder {
  readonly sent: { readonly media: OutgoingMedia; readonly tag: MediaTag | undefined }[] = [];

  send(media: OutgoingMedia, tag: MediaTag | undefined): void {
    this.sent.push({ media, tag });
  }

  pictures(): number[] {
    return this.#timestamps("video");
  }

  sounds(): number[] {
    return this.#timestamps("audio");
  }

  #timestamps(kind: MediaTag["kind"]): number[] {
    return this.sent
      .filter(({ media, tag }) => media.kind === kind && tag?.sequenceHeader !== true)
      .map(({ media }) => media.timestampMs);
  }
}

/** Fills gaps with marked frames. The tests of the filler cover the real ones. */
class MarkingFiller implements GapFiller {
  observe(): void {}

  picture(): FillFrame {
    return { payload: Buffer.from([0x27, 1, 0, 0, 0, 0xff]), durationMs: 66 };
  }

  silence(): FillFrame {
    return { payload: Buffer.from([0xaf, 1, 0xff]), durationMs: 1024 / 48 };
  }
}

function run(timeline: Timeline, recorder: Recorder, fromMs: number, toMs: number): void {
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += 20) timeline.advance(nowMs, recorder);
}

function largestStep(timestamps: number[]): number {
  return Math.max(...timestamps.slice(1).map((at, n) => at - (timestamps[n] ?? 0)));
}

describe("Timeline", () => {
  describe("when it paces a source", () => {
    it("sends each tag when it is due and none earlier", () => {
      const timeline = new Timeline();
      const recorder = new Recorder();
      timeline.cutTo(
        new ScriptedSource().push(...scriptedTags({ fromMs: 0, durationMs: 2_000 })),
        { nowMs: 5_000 },
        recorder,
      );
      timeline.advance(5_000, recorder);
      expect(recorder.pictures()).toEqual([0]);
      run(timeline, recorder, 5_000, 6_000);
      expect(recorder.pictures()).toHaveLength(31);
      expect(recorder.pictures().at(-1)).toBe(1_000);
    });

    it("sends the sequence headers before the first picture, at its timestamp", () => {
      const timeline = new Timeline();
      const recorder = new Recorder();
      timeline.cutTo(
        new ScriptedSource().push(...scriptedTags({ fromMs: 90_000, durationMs: 100 })),
        { nowMs: 0 },
        recorder,
      );
      timeline.advance(0, recorder);
      expect(
        recorder.sent.slice(0, 2).map(({ tag, media }) => [media.kind, tag?.sequenceHeader, media.timestampMs]),
      ).toEqual([
        ["video", true, 0],
        ["audio", true, 0],
      ]);
    });

    it("continues from now without a gap in the timestamps and without catching up when a recorded source was late", () => {
      const timeline = new Timeline();
      const recorder = new Recorder();
      const tags = scriptedTags({ fromMs: 0, durationMs: 3_000 });
      const source = new ScriptedSource().push(...tags.filter((tag) => tag.dtsMs < 1_000));
      timeline.cutTo(source, { nowMs: 0 }, recorder);
      run(timeline, recorder, 0, 4_000);
      source.push(...tags.filter((tag) => tag.dtsMs >= 1_000));
      timeline.advance(4_020, recorder);
      const before = recorder.pictures().length;
      run(timeline, recorder, 4_040, 4_540);
      expect(recorder.pictures().length - before).toBeLessThanOrEqual(16);
      expect(largestStep(recorder.pictures())).toBeLessThanOrEqual(34);
    });

    it("reports the position of the media that was sent, not of the media that was read ahead", () => {
      const timeline = new Timeline();
      const recorder = new Recorder();
      timeline.cutTo(
        new ScriptedSource().push(...scriptedTags({ fromMs: 60_000, durationMs: 2_000 })),
        { nowMs: 0 },
        recorder,
      );
      run(timeline, recorder, 0, 1_000);
      expect(timeline.positionMs).toBeCloseTo(61_000, -1);
    });
  });

  describe("when it cuts to a source", () => {
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
      timeline.cutTo(source, { nowMs: 0 }, recorder);
      run(timeline, recorder, 0, 100);
      expect(recorder.pictures()).toEqual([0]);
      expect(recorder.sounds()).toEqual([1]);
    });

    it("keeps timestamps continuous, with one frame between the pictures and no sound twice, when the source changes", () => {
      const timeline = new Timeline();
      const recorder = new Recorder();
      timeline.cutTo(
        new ScriptedSource().push(...scriptedTags({ fromMs: 0, durationMs: 5_000 })),
        { nowMs: 0 },
        recorder,
      );
      run(timeline, recorder, 0, 2_000);
      timeline.cutTo(
        new ScriptedSource().push(...scriptedTags({ fromMs: 700_000, durationMs: 5_000 })),
        { nowMs: 2_010 },
        recorder,
      );
      run(timeline, recorder, 2_010, 4_000);
      expect(largestStep(recorder.pictures())).toBeLessThanOrEqual(44);
      expect(largestStep(recorder.sounds())).toBeLessThanOrEqual(44);
      for (const track of [recorder.pictures(), recorder.sounds()]) {
        expect(track).toEqual(track.toSorted((a, b) => a - b));
        expect(new Set(track).size).toBe(track.length);
      }
    });

    it("puts the next picture at the current output time after a break", () => {
      const timeline = new Timeline();
      const recorder = new Recorder();
      timeline.cutTo(
        new ScriptedSource().push(...scriptedTags({ fromMs: 0, durationMs: 1_000 })),
        { nowMs: 0 },
        recorder,
      );
      run(timeline, recorder, 0, 1_000);
      timeline.clear();
      timeline.cutTo(
        new ScriptedSource().push(...scriptedTags({ fromMs: 0, durationMs: 1_000 })),
        { nowMs: 8_000 },
        recorder,
      );
      timeline.advance(8_000, recorder);
      expect(recorder.pictures().at(-1)).toBe(8_000);
    });
  });

  describe("when the source is live", () => {
    it("skips to the newest at once when the source starts with an old GOP", () => {
      const timeline = new Timeline();
      const recorder = new Recorder();
      timeline.cutTo(
        new ScriptedSource({ live: true }).push(...scriptedTags({ fromMs: 0, durationMs: 2_000 })),
        { nowMs: 0 },
        recorder,
      );
      timeline.advance(0, recorder);
      const pictures = recorder.sent.filter(
        ({ media, tag }) => media.kind === "video" && tag?.sequenceHeader === false,
      );
      // The media before the newest keyframe is not needed.
      expect(pictures[0]?.tag?.dtsMs).toBe(1_000);
      expect(pictures.at(-1)?.tag?.dtsMs).toBeGreaterThan(1_500);
    });

    it.each([
      ["with a keyframe each second", (tag: MediaTag) => tag.keyframe],
      ["without a keyframe", (tag: MediaTag) => tag.keyframe && tag.dtsMs === 0],
    ])("shows the newest at normal speed when the source returns with a backlog of five seconds %s", (_what, isKey) => {
      const timeline = new Timeline(new MarkingFiller());
      const recorder = new Recorder();
      const tags = scriptedTags({ fromMs: 0, durationMs: 20_000 }).map((tag) =>
        tag.kind === "video" && !tag.sequenceHeader ? { ...tag, keyframe: isKey(tag) } : tag,
      );
      const source = new ScriptedSource({ live: true });
      const pushUpTo = (ms: number) => {
        while ((tags[0]?.dtsMs ?? Infinity) <= ms) source.push(...tags.splice(0, 1));
      };
      pushUpTo(100);
      timeline.cutTo(source, { nowMs: 0 }, recorder);
      for (let nowMs = 0; nowMs <= 15_000; nowMs += 20) {
        if (nowMs < 5_000 || nowMs >= 10_000) pushUpTo(nowMs + 100);
        timeline.advance(nowMs, recorder);
        if (nowMs !== 10_100 && nowMs !== 15_000) continue;
        const last = recorder.sent.findLast(({ media, tag }) => media.kind === "video" && tag !== undefined);
        expect(nowMs - (last?.tag?.dtsMs ?? 0)).toBeLessThan(600);
        expect(Math.abs(nowMs - (last?.media.timestampMs ?? 0))).toBeLessThan(100);
      }
      const [pictures, sounds] = [recorder.pictures(), recorder.sounds()];
      expect(pictures).toEqual(pictures.toSorted((a, b) => a - b));
      expect(sounds).toEqual(sounds.toSorted((a, b) => a - b));
      expect(largestStep(sounds)).toBeLessThan(120);
    });

    it("does not play a segmented source so fast that its queue runs empty", () => {
      const timeline = new Timeline();
      const recorder = new Recorder();
      const source = new ScriptedSource({ live: true, segmented: true });
      timeline.cutTo(source.push(...scriptedTags({ fromMs: 0, durationMs: 6_000 })), { nowMs: 0 }, recorder);
      timeline.advance(0, recorder);
      expect(recorder.pictures()).toEqual([0]);
    });

    it("drops and counts pictures up to the next keyframe when the room is too slow", () => {
      const timeline = new Timeline();
      const recorder = new Recorder();
      const tags = scriptedTags({ fromMs: 0, durationMs: 3_000 });
      const source = new ScriptedSource({ live: true, segmented: true }).push(
        ...tags.filter((tag) => tag.dtsMs < 1_500),
      );
      timeline.cutTo(source, { nowMs: 0 }, recorder);
      run(timeline, recorder, 0, 500);
      timeline.dropWaiting();
      source.push(...tags.filter((tag) => tag.dtsMs >= 1_500));
      const before = recorder.sent.length;
      run(timeline, recorder, 1_500, 2_500);
      const next = recorder.sent.slice(before).find(({ media }) => media.kind === "video");
      expect(next?.tag?.keyframe).toBe(true);
      expect(next?.tag?.dtsMs).toBeCloseTo(2_000);
      expect(timeline.droppedFrames).toBe(60 - 16);
    });
  });

  describe("drained", () => {
    it("becomes true only when the source has ended and all of it was sent", () => {
      const timeline = new Timeline();
      const recorder = new Recorder();
      const source = new ScriptedSource().push(...scriptedTags({ fromMs: 0, durationMs: 1_000 })).finish();
      timeline.cutTo(source, { nowMs: 0 }, recorder);
      run(timeline, recorder, 0, 900);
      expect(timeline.drained).toBe(false);
      run(timeline, recorder, 900, 1_000);
      expect(timeline.drained).toBe(true);
    });
  });

  describe("when there is a gap", () => {
    function play(source: ScriptedSource): { timeline: Timeline; recorder: Recorder } {
      const timeline = new Timeline(new MarkingFiller());
      const recorder = new Recorder();
      timeline.cutTo(source, { nowMs: 0 }, recorder);
      return { timeline, recorder };
    }

    function expectUnbroken(recorder: Recorder, untilMs: number): void {
      for (const track of [recorder.pictures(), recorder.sounds()]) {
        expect(largestStep(track)).toBeLessThanOrEqual(100);
        expect(track).toEqual(track.toSorted((a, b) => a - b));
        expect(new Set(track).size).toBe(track.length);
        expect(track.at(-1)).toBeGreaterThan(untilMs - 100);
      }
    }

    it("stops the clock and repeats nothing when a recorded source is late for a moment", () => {
      const tags = scriptedTags({ fromMs: 0, durationMs: 3_000 });
      const source = new ScriptedSource().push(...tags.filter((tag) => tag.dtsMs < 1_000));
      const { timeline, recorder } = play(source);
      run(timeline, recorder, 0, 1_400);
      source.push(...tags.filter((tag) => tag.dtsMs >= 1_000));
      run(timeline, recorder, 1_420, 3_000);
      expectUnbroken(recorder, 2_600);
      expect(recorder.sent.filter(({ tag }) => tag === undefined)).toEqual([]);
      expect(largestStep(recorder.pictures())).toBeLessThanOrEqual(34);
    });

    it("fills the gap and then shows all of the late media when the source is late for longer", () => {
      const tags = scriptedTags({ fromMs: 0, durationMs: 3_000 });
      const source = new ScriptedSource().push(...tags.filter((tag) => tag.dtsMs < 1_000));
      const { timeline, recorder } = play(source);
      run(timeline, recorder, 0, 3_000);
      source.push(...tags.filter((tag) => tag.dtsMs >= 1_000));
      run(timeline, recorder, 3_020, 5_000);
      expectUnbroken(recorder, 3_500);
      const real = recorder.sent.filter(({ tag }) => tag?.kind === "video" && !tag.sequenceHeader);
      const pictures = tags.filter((tag) => tag.kind === "video" && !tag.sequenceHeader);
      expect(real.length).toBeGreaterThan(80);
      expect(real.map(({ tag }) => tag?.dtsMs)).toEqual(pictures.slice(0, real.length).map(({ dtsMs }) => dtsMs));
    });

    it("fills a pause and then continues the source at the same position", () => {
      const { timeline, recorder } = play(new ScriptedSource().push(...scriptedTags({ fromMs: 0, durationMs: 4_000 })));
      run(timeline, recorder, 0, 1_000);
      timeline.pause();
      run(timeline, recorder, 1_020, 6_000);
      expect(timeline.positionMs).toBe(1_000);
      const skewMs = (recorder.sounds().at(-1) ?? 0) - (recorder.pictures().at(-1) ?? 0);
      expect(Math.abs(skewMs)).toBeLessThan(60);
      timeline.resume();
      run(timeline, recorder, 6_020, 7_000);
      expectUnbroken(recorder, 7_000);
      expect(timeline.positionMs).toBeGreaterThan(1_900);
    });

    it("does not fill less than a frame before a cut but shows the new picture in place of the one that was due", () => {
      const { timeline, recorder } = play(new ScriptedSource().push(...scriptedTags({ fromMs: 0, durationMs: 4_000 })));
      run(timeline, recorder, 0, 2_000);
      const next = new ScriptedSource().push(...scriptedTags({ fromMs: 50_000, durationMs: 2_000 }));
      timeline.cutTo(next, { nowMs: 2_052 }, recorder);
      run(timeline, recorder, 2_052, 3_000);
      expect(recorder.sent.filter(({ media, tag }) => media.kind === "video" && tag === undefined)).toEqual([]);
      expect(largestStep(recorder.pictures())).toBeLessThanOrEqual(34);
    });

    it("fills a few frames before a cut at the source's frame interval", () => {
      const { timeline, recorder } = play(new ScriptedSource().push(...scriptedTags({ fromMs: 0, durationMs: 4_000 })));
      run(timeline, recorder, 0, 2_000);
      const next = new ScriptedSource().push(...scriptedTags({ fromMs: 50_000, durationMs: 2_000 }));
      timeline.cutTo(next, { nowMs: 2_120 }, recorder);
      run(timeline, recorder, 2_120, 3_000);
      expect(largestStep(recorder.pictures())).toBeLessThanOrEqual(34);
    });

    it("fills the time before a position that it fast-forwards to, even if the clock was checked late", () => {
      const { timeline, recorder } = play(new ScriptedSource().push(...scriptedTags({ fromMs: 0, durationMs: 4_000 })));
      run(timeline, recorder, 0, 2_000);
      const tags = scriptedTags({ fromMs: 0, durationMs: 4_000 });
      const next = new ScriptedSource().push(...tags.filter(({ dtsMs }) => dtsMs < 500));
      timeline.cutTo(next, { nowMs: 2_010, fromMs: 1_000 }, recorder);
      timeline.advance(2_020, recorder);
      next.push(...tags.filter(({ dtsMs }) => dtsMs >= 500));
      timeline.advance(2_260, recorder);
      run(timeline, recorder, 2_280, 4_000);
      expect(largestStep(recorder.pictures())).toBeLessThanOrEqual(70);
      expect(largestStep(recorder.sounds())).toBeLessThanOrEqual(90);
    });

    it("fills the time between two sources and starts the second one at the current output time", () => {
      const { timeline, recorder } = play(
        new ScriptedSource().push(...scriptedTags({ fromMs: 0, durationMs: 1_000 })).finish(),
      );
      run(timeline, recorder, 0, 3_000);
      const next = new ScriptedSource().push(...scriptedTags({ fromMs: 50_000, durationMs: 2_000 }));
      timeline.cutTo(next, { nowMs: 3_010 }, recorder);
      run(timeline, recorder, 3_010, 4_000);
      expectUnbroken(recorder, 4_000);
    });

    it("fills nothing after the room was left but sends the headers and a keyframe next, on the same clock", () => {
      const { timeline, recorder } = play(
        new ScriptedSource().push(...scriptedTags({ fromMs: 0, durationMs: 1_000 })).finish(),
      );
      run(timeline, recorder, 0, 1_000);
      timeline.leave();
      const before = recorder.sent.length;
      run(timeline, recorder, 1_020, 3_000);
      expect(recorder.sent).toHaveLength(before);
      timeline.cutTo(
        new ScriptedSource().push(...scriptedTags({ fromMs: 0, durationMs: 1_000 })),
        { nowMs: 3_000 },
        recorder,
      );
      run(timeline, recorder, 3_000, 3_500);
      const video = recorder.sent.slice(before).filter(({ media }) => media.kind === "video");
      expect(
        video.slice(0, 2).map(({ tag, media }) => [tag?.sequenceHeader, tag?.keyframe, media.timestampMs]),
      ).toEqual([
        [true, true, 3_000],
        [false, true, 3_000],
      ]);
    });

    it("fills a track that has ended while the other track continues at its pace", () => {
      const tags = scriptedTags({ fromMs: 0, durationMs: 5_000 });
      const { timeline, recorder } = play(
        new ScriptedSource().push(...tags.filter((tag) => tag.kind === "video" || tag.dtsMs < 1_000)),
      );
      run(timeline, recorder, 0, 4_000);
      expectUnbroken(recorder, 4_000);
      expect(timeline.positionMs).toBeGreaterThan(3_950);
    });

    it("fills the gaps of a slide show without moving its pictures", () => {
      const source = new ScriptedSource().push(videoTag(0, true, true));
      for (let n = 0; n < 5; n += 1) source.push(videoTag(n * 1_000, true));
      const { timeline, recorder } = play(source);
      run(timeline, recorder, 0, 3_900);
      const real = recorder.sent.filter(({ tag }) => tag?.kind === "video" && !tag.sequenceHeader);
      expect(real.map(({ media }) => media.timestampMs)).toEqual([0, 1_000, 2_000, 3_000]);
      expect(largestStep(recorder.pictures())).toBeLessThanOrEqual(100);
    });
  });

  describe("when it cuts to a position between two keyframes", () => {
    it("sends the pictures that decoding needs at once, and starts picture and sound at that position", () => {
      const timeline = new Timeline();
      const recorder = new Recorder();
      timeline.cutTo(
        new ScriptedSource().push(...scriptedTags({ fromMs: 0, durationMs: 2_000 })),
        { nowMs: 0 },
        recorder,
      );
      run(timeline, recorder, 0, 1_000);
      const source = new ScriptedSource().push(...scriptedTags({ fromMs: 30_000, durationMs: 5_000 }));
      timeline.cutTo(source, { nowMs: 1_010, fromMs: 31_700 }, recorder);
      timeline.advance(1_010, recorder);
      expect(Math.abs(timeline.positionMs - 31_700)).toBeLessThanOrEqual(34);
      run(timeline, recorder, 1_030, 2_000);
      expect(Math.abs(timeline.positionMs - 32_670)).toBeLessThanOrEqual(50);
      const pictures = recorder.pictures();
      expect(new Set(pictures).size).toBe(pictures.length);
      expect(pictures).toEqual(pictures.toSorted((a, b) => a - b));
      expect(largestStep(pictures)).toBeLessThanOrEqual(100);
      expect(largestStep(recorder.sounds())).toBeLessThanOrEqual(100);
      const heard = recorder.sent.filter(
        ({ tag }) => tag?.kind === "audio" && !tag.sequenceHeader && tag.dtsMs >= 30_000,
      );
      expect(heard[0]?.tag?.dtsMs).toBeGreaterThanOrEqual(31_700);
    });
  });
});
