import type { MediaTag } from "./media-tag.ts";

/** Audio may begin so much before its picture without being heard as early: less than two AAC frames. */
const AUDIO_LEAD_MS = 40;
/** More is not held back to look for a nearer keyframe: some seconds of the highest rates. */
const MAX_HELD_BYTES = 8 * 1024 * 1024;

/**
 * Where copied video begins when a position was asked for: at the keyframe nearest to it, before or behind. A reader
 * that seeks begins with the keyframe before the position; whether the next one is nearer is known only when it, or as
 * much media behind the position as the first one lies before it, has come. Holds back what may not be wanted.
 */
export class NearestStart {
  readonly #positionMs: number;
  #held: MediaTag[] = [];
  #heldBytes = 0;
  /** Of the nearest keyframe so far. */
  #startMs: number | undefined;
  #decided = false;

  constructor(positionMs: number) {
    this.#positionMs = positionMs;
  }

  /** @returns what may be handed on now, in order; sequence headers always come out, before the media. */
  take(tag: MediaTag): readonly MediaTag[] {
    if (this.#decided) return this.#startsLater(tag) ? [] : [tag];
    if (tag.sequenceHeader) return [tag];
    const startMs = this.#startMs;
    if (tag.kind === "video") {
      if (startMs === undefined && !tag.keyframe) return [];
      if (startMs === undefined || (tag.keyframe && this.#isNearer(tag.dtsMs, startMs))) this.#startMs = tag.dtsMs;
    }
    this.#held.push(tag);
    this.#heldBytes += tag.payload.length;
    return this.#isKnown(tag) || this.#heldBytes > MAX_HELD_BYTES ? this.release() : [];
  }

  /** What is held when nothing more comes. */
  release(): readonly MediaTag[] {
    this.#decided = true;
    const held = this.#held;
    this.#held = [];
    if (this.#startMs === undefined) return held;
    const startMs = this.#startMs;
    return held.filter((tag) => (tag.kind === "video" ? tag.dtsMs >= startMs : !this.#startsLater(tag)));
  }

  #isNearer(dtsMs: number, startMs: number): boolean {
    return Math.abs(dtsMs - this.#positionMs) < Math.abs(startMs - this.#positionMs);
  }

  #isKnown({ kind, dtsMs }: MediaTag): boolean {
    if (kind === "audio" || this.#startMs === undefined) return false;
    return dtsMs >= this.#positionMs + Math.abs(this.#positionMs - this.#startMs);
  }

  /** Audio that belongs to pictures before the first one. */
  #startsLater({ kind, sequenceHeader, dtsMs }: MediaTag): boolean {
    return kind === "audio" && !sequenceHeader && dtsMs < (this.#startMs ?? 0) - AUDIO_LEAD_MS;
  }
}
