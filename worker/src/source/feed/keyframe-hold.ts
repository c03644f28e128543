import type { FedTag } from "./fed-tag.ts";

/** Sound that changes its format within this time behind a keyframe changes it with that keyframe, ms. */
const LONGEST_HOLD_MS = 500;

/**
 * Holds what comes from a keyframe on until it is known whether the sound changes its format there. A new run begins with
 * a keyframe: without this, sound that changes just behind one would be lost until the next one comes.
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

  /** The sound so far belongs to what is before the keyframe, and the header stands in front of the keyframe. */
  #changeSound(header: FedTag): void {
    const held = this.#held.splice(0);
    for (const tag of held) if (tag.kind === "audio") this.#onTag(tag);
    this.#onTag(header);
    for (const tag of held) if (tag.kind === "video") this.#onTag(tag);
  }
}
