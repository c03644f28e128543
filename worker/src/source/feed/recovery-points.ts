import type { MediaTag } from "../../media/media-tag.ts";
import type { FedTag } from "./fed-tag.ts";

/** So many pictures are looked at for an IDR before a recovery point has to do, about four seconds. */
const PICTURES_TO_WAIT = 100;

/**
 * Streams of broadcasters may have no IDR picture at all: decoding begins at recovery points. Until an IDR is seen, those
 * count as keyframes, marked as what they are.
 */
export class RecoveryPoints {
  #atMs: number | undefined;
  #pictures = 0;
  #idrSeen = false;

  /** The picture at this decode time is a recovery point; told before its tag. */
  found(dtsMs: number): void {
    this.#atMs = dtsMs;
  }

  mark(tag: MediaTag): FedTag {
    if (tag.kind === "audio" || tag.sequenceHeader || this.#idrSeen) return tag;
    if (tag.keyframe) {
      this.#idrSeen = true;
      return tag;
    }
    this.#pictures += 1;
    if (this.#pictures < PICTURES_TO_WAIT || this.#atMs !== tag.dtsMs) return tag;
    return { ...tag, keyframe: true, openGop: true };
  }
}
