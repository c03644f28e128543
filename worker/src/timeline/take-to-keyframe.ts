import type { MediaTag } from "../media/media-tag.ts";
import type { Source } from "../source/source.ts";

/** What was taken from a source to begin it. */
export interface Beginning {
  /** The headers, the keyframe, and what was taken with it. */
  readonly ahead: MediaTag[];
  /** Where it begins, ms: at the keyframe. */
  readonly keyframeDtsMs: number;
}

/** Takes tags until the first keyframe is at hand; keeps the sequence headers and the audio that goes with it. */
export function takeToKeyframe(source: Source): Beginning {
  const taken: MediaTag[] = [];
  for (let tag = source.shift(); tag !== undefined; tag = source.shift()) {
    taken.push(tag);
    if (isKeyframe(tag)) break;
  }
  return beginAt(taken, taken.findLastIndex(isKeyframe));
}

/** Takes all that is here and begins it at its newest keyframe: what was before that is old. */
export function takeToNewestKeyframe(source: Source): Beginning {
  const taken = takeAll(source);
  return beginAt(taken, taken.findLastIndex(isKeyframe));
}

/** Takes all that is here behind what is held already, without what its newest keyframe, if it has one, makes old. */
export function takeNewest(source: Source, held: readonly MediaTag[]): MediaTag[] {
  const taken = [...held, ...takeAll(source)];
  const at = taken.findLastIndex(isKeyframe);
  return at === -1 ? taken : beginAt(taken, at).ahead;
}

/** The decode time of the newest of these tags, ms. */
export function newestDtsMs(tags: readonly MediaTag[]): number {
  return tags.reduce(
    (newest, { sequenceHeader, dtsMs }) => (sequenceHeader ? newest : Math.max(newest, dtsMs)),
    Number.NEGATIVE_INFINITY,
  );
}

function takeAll(source: Source): MediaTag[] {
  const taken: MediaTag[] = [];
  for (let tag = source.shift(); tag !== undefined; tag = source.shift()) taken.push(tag);
  return taken;
}

function beginAt(taken: readonly MediaTag[], at: number): Beginning {
  const keyframe = taken[at];
  // An opened source has its first keyframe at hand; one that has ended meanwhile may have nothing.
  if (keyframe === undefined) {
    const first = taken.find((tag) => !tag.sequenceHeader);
    return {
      ahead: taken.filter(({ sequenceHeader, kind }) => sequenceHeader || kind === "audio"),
      keyframeDtsMs: first?.dtsMs ?? 0,
    };
  }
  const before = taken.slice(0, at);
  const kept = before.filter((tag) => tag.sequenceHeader || (tag.kind === "audio" && tag.dtsMs >= keyframe.dtsMs));
  return { ahead: [...kept, ...taken.slice(at)], keyframeDtsMs: keyframe.dtsMs };
}

function isKeyframe(tag: MediaTag): boolean {
  return tag.kind === "video" && tag.keyframe && !tag.sequenceHeader;
}
