import { describe, expect, it } from "vitest";
import type { MediaTag } from "./media-tag.ts";
import { NearestStart } from "./nearest-start.ts";
import { audioTag, videoTag } from "./scripted-source.ts";

/** 10 pictures a second from a time on, a keyframe every `gopMs`, sound with each. */
function* clip(fromMs: number, gopMs: number): Generator<MediaTag> {
  yield videoTag(0, true, true);
  yield audioTag(0, true);
  for (let ms = fromMs; ms < fromMs + 10_000; ms += 100) {
    yield audioTag(ms - 20);
    yield videoTag(ms, (ms - fromMs) % gopMs === 0);
  }
}

function through(positionMs: number, tags: Iterable<MediaTag>) {
  const start = new NearestStart(positionMs);
  const given: MediaTag[] = [];
  let heldMs = 0;
  for (const tag of tags) {
    given.push(...start.take(tag));
    if (given.every(({ sequenceHeader }) => sequenceHeader)) heldMs = tag.dtsMs;
  }
  given.push(...start.release());
  const media = given.filter(({ sequenceHeader }) => !sequenceHeader);
  return {
    given,
    first: media.find(({ kind }) => kind === "video"),
    audio: media.find(({ kind }) => kind === "audio"),
    heldMs,
  };
}

describe("a copied source begins at the keyframe nearest to the position", () => {
  it.each([
    ["the one before is nearer", 2800, 2000],
    ["the one behind is nearer", 3300, 4000],
    ["on a keyframe", 2000, 2000],
    ["in the middle: the earlier one", 3000, 2000],
  ])("%s", (_name, positionMs, startMs) => {
    const { given, first, audio } = through(positionMs, clip(2000, 2000));
    expect(first).toMatchObject({ dtsMs: startMs, keyframe: true });
    expect(audio?.dtsMs).toBe(startMs - 20);
    expect(given.slice(0, 2).every(({ sequenceHeader }) => sequenceHeader)).toBe(true);
  });

  it("and holds back no more than it must to know", () => {
    expect(through(2000, clip(2000, 2000)).heldMs).toBeLessThan(2000);
    expect(through(2800, clip(2000, 2000)).heldMs).toBeLessThan(3600);
  });

  it("which may be the first one there is, behind the position", () => {
    expect(through(1500, clip(2000, 2000)).first).toMatchObject({ dtsMs: 2000 });
  });

  it("and where the source ends before another one, at the one there is", () => {
    const short = [...clip(2000, 10_000)].slice(0, 20);
    expect(through(9000, short).first).toMatchObject({ dtsMs: 2000 });
  });

  it("without losing a picture behind it", () => {
    const { given } = through(3300, clip(2000, 2000));
    const pictures = given.filter(({ kind, sequenceHeader }) => kind === "video" && !sequenceHeader);
    expect(pictures.map(({ dtsMs }) => dtsMs)).toEqual(Array.from({ length: 80 }, (_, n) => 4000 + n * 100));
  });
});
