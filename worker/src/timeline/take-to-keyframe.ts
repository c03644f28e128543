import type { MediaTag } from "../media/media-tag.ts";
import type { Source } from "../source/source.ts";

/** The tags that were taken from a source to start playing it. */
export interface Beginning {
  /** The sequence headers, the keyframe, and the tags that were taken along with it. */
  readonly ahead: MediaTag[];
  /** Decode timestamp of the keyframe, ms. */
  readonly keyframeDtsMs: number;
}

/** Takes tags up to the first keyframe. Keeps the sequence headers and the audio that belongs to the keyframe. */
export function takeToKeyframe(source: Source): Beginning {
  const taken: MediaTag[] = [];
  for (let tag = source.shift(); tag !== undefined; tag = source.shift()) {
    taken.push(tag);
    if (isKeyframe(tag)) break;
  }
  return beginAt(taken, taken.findLastIndex(isKeyframe));
}

/** Takes all queued tags and drops those before the newest keyframe, because they are old. */
export function takeToNewestKeyframe(source: Source): Beginning {
  const taken = takeAll(source);
  return beginAt(taken, taken.findLastIndex(isKeyframe));
}

/** Appends all queued tags to those in `held`, and drops those before the newest keyframe if there is one. */
export function takeNewest(source: Source, held: readonly MediaTag[]): MediaTag[] {
  const taken = [...held, ...takeAll(source)];
  const at = taken.findLastIndex(isKeyframe);
  return at === -1 ? taken : beginAt(taken, at).ahead;
}

/** Returns the decode timestamp of the newest of these tags, ms. */
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
  // An opened source has its first keyframe queued, but a source that has ended since may have no keyframe.
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
