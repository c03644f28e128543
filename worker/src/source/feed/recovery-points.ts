import type { MediaTag } from "../../media/media-tag.ts";
import type { FedTag } from "./fed-tag.ts";

/** The number of pictures without an IDR picture after which a recovery point is used instead: about four seconds. */
const PICTURES_TO_WAIT = 100;

/**
 * Marks recovery points as keyframes until an IDR picture comes. Streams of broadcasters may have no IDR picture, so
 * decoding has to begin at a recovery point.
 */
export class RecoveryPoints {
  #atMs: number | undefined;
  #pictures = 0;
  #idrSeen = false;

  /** Announces, before its tag, that the picture at this decode time is a recovery point. */
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
