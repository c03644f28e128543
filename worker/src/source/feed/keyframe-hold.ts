import type { FedTag } from "./fed-tag.ts";

/** The time after a keyframe within which a change of the sound format belongs to that keyframe, ms. */
const LONGEST_HOLD_MS = 500;

/**
 * Holds tags from a keyframe on until it is known whether the sound changes its format there. A new run begins with a
 * keyframe. Without the hold, sound that changes just after a keyframe would be lost until the next keyframe.
 */
export class KeyframeHold {
  readonly #onTag: (tag: FedTag) => void;
  #held: FedTag[] = [];

  constructor(onTag: (tag: FedTag) => void) {
    this.#onTag = onTag;
  }

  /** @param soundHeader the header of the sound that is being played */
  take(tag: FedTag, soundHeader: Buffer | undefined): void {
    const [first] = this.#held;
    if (tag.kind === "video" && (tag.keyframe || tag.sequenceHeader)) {
      this.flush();
      if (tag.sequenceHeader) this.#onTag(tag);
      else this.#held.push(tag);
      return;
    }
    if (first === undefined) {
      this.#onTag(tag);
      return;
    }
    if (tag.kind === "audio" && tag.sequenceHeader && soundHeader?.equals(tag.payload) === false) {
      this.#changeSound(tag);
      return;
    }
    this.#held.push(tag);
    if (!tag.sequenceHeader && tag.dtsMs - first.dtsMs > LONGEST_HOLD_MS) this.flush();
  }

  flush(): void {
    for (const tag of this.#held.splice(0)) this.#onTag(tag);
  }

  /** Gives the held sound first and then the new header, so that both precede the keyframe. */
  #changeSound(header: FedTag): void {
    const held = this.#held.splice(0);
    for (const tag of held) if (tag.kind === "audio") this.#onTag(tag);
    this.#onTag(header);
    for (const tag of held) if (tag.kind === "video") this.#onTag(tag);
  }
}
