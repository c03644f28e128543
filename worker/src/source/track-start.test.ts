import { describe, expect, it } from "vitest";
import type { MediaTag } from "../media/media-tag.ts";
import { audioTag, scriptedTags, videoTag } from "./scripted-source.test-support.ts";
import { TrackStart } from "./track-start.ts";

function run(tags: readonly MediaTag[], startAtMs = 0): { given: MediaTag[]; begun: number; start: TrackStart } {
  const given: MediaTag[] = [];
  let begun = 0;
  const start = new TrackStart({
    size: { width: 320, height: 180 },
    audioFormat: { sampleRateHz: 48_000, channels: 2 },
    startAtMs,
    onTag: (tag) => given.push(tag),
    onBegun: () => {
      begun += 1;
    },
  });
  for (const tag of tags) start.take(tag);
  return { given, begun, start };
}

const of = (kind: MediaTag["kind"], tags: readonly MediaTag[]) => tags.filter((tag) => tag.kind === kind);
const media = (tags: readonly MediaTag[]) => tags.filter(({ sequenceHeader }) => !sequenceHeader);

describe("TrackStart", () => {
  const both = scriptedTags({ fromMs: 0, durationMs: 5000 });

  it("passes tags on unchanged when both tracks are present", () => {
    const { given, begun } = run(both);
    expect(given).toEqual(both);
    expect(begun).toBe(1);
  });

  it("announces silence when the sound is late and passes the sound on when it comes", () => {
    const video = of("video", both);
    const late = [audioTag(4990, true), audioTag(4990)];
    const { given, begun } = run([...video, ...late]);
    expect(begun).toBe(1);
    const sound = of("audio", given);
    expect(sound.map(({ sequenceHeader }) => sequenceHeader)).toEqual([true, true, false]);
    expect(of("video", given)).toEqual(video);
  });

  it("makes a black picture when the video is late and ends it with the first keyframe", () => {
    const audio = of("audio", both);
    const late = [videoTag(4980, true, true), videoTag(4990, true), videoTag(5030, false)];
    const { given } = run([...audio, ...late]);
    const pictures = media(of("video", given));
    expect(pictures[0]).toMatchObject({ dtsMs: 0, keyframe: true });
    expect(pictures.slice(-2).map(({ dtsMs }) => dtsMs)).toEqual([4990, 5030]);
    // A source that is opened in the middle begins with a keyframe.
    expect(pictures.slice(0, -2).map(({ dtsMs }) => Math.round(dtsMs / 1000))).toEqual([0, 2, 4]);
    expect(of("video", given).filter(({ sequenceHeader }) => sequenceHeader)).toHaveLength(2);
  });

  it("makes a picture when the video begins more than half a second after the sound", () => {
    const [soon, late] = [300, 900].map((ms) => {
      const video = of("video", both).map((tag) => ({ ...tag, dtsMs: tag.dtsMs + ms }));
      const tags = [...of("audio", both), ...video].toSorted((a, b) => a.dtsMs - b.dtsMs);
      return media(of("video", run(tags).given))[0]?.dtsMs;
    });
    expect(soon).toBe(300);
    expect(late).toBe(0);
  });

  it("drops sound before the start position and does not count it as an early start", () => {
    const video = of("video", both).map((tag) => ({ ...tag, dtsMs: tag.dtsMs + 2000 }));
    const { given } = run([...of("audio", both), ...video], 2000);
    expect(media(of("audio", given))[0]?.dtsMs).toBeGreaterThanOrEqual(2000);
    expect(media(of("video", given))[0]?.dtsMs).toBe(2000);
  });

  it("gives the held tags when the source ends before both tracks are present", () => {
    const { given, start, begun } = run(of("audio", both).slice(0, 10));
    expect(given).toEqual([]);
    expect(begun).toBe(0);
    start.end();
    expect(media(of("audio", given))).toHaveLength(9);
    expect(media(of("video", given))).toHaveLength(1);
  });
});
