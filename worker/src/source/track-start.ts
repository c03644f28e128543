import type { AudioFormat } from "../media/formats.ts";
import type { MediaTag } from "../media/media-tag.ts";
import { MadePicture, silenceHeader } from "./made-tracks.ts";

/**
 * A track is late if it is missing after this much of the other track, ms. A late track is replaced by a made one until
 * it comes.
 */
const LATE_AFTER_MS = 3000;
/**
 * The longest sound before the first picture that needs no made picture, ms. Earlier sound is played with a made
 * picture.
 */
const LONGEST_LEAD_MS = 500;

export interface TrackStartOptions {
  /** The size of the picture that is made while the video is missing. */
  readonly size: { readonly width: number; readonly height: number };
  readonly audioFormat: AudioFormat;
  /** The start position, ms; sound before it is dropped. */
  readonly startAtMs: number;
  readonly onTag: (tag: MediaTag) => void;
  /** Called when a picture (real or made) and the sound's header have been given, so that the source can be played. */
  readonly onBegun: () => void;
}

/**
 * Aligns the beginning of a recorded source, whose tracks may begin at different times. Tags are held until both tracks
 * are present. A late track is replaced by a made one until it comes.
 */
export class TrackStart {
  readonly #options: TrackStartOptions;
  #held: MediaTag[] | undefined = [];
  readonly #awaited = new Set(["video header", "audio header", "keyframe"]);
  #firstMs: number | undefined;
  #made: MadePicture | undefined;
  /** The sequence header of the video that has not begun yet. */
  #header: MediaTag | undefined;

  constructor(options: TrackStartOptions) {
    this.#options = options;
  }

  /** Names the parts that have not come yet, for error texts; empty if nothing is missing. */
  get missing(): string {
    return [...this.#awaited].join(" and ");
  }

  take(tag: MediaTag): void {
    if (this.#held === undefined) {
      this.#pass(tag);
      return;
    }
    const { startAtMs } = this.#options;
    if (tag.kind === "audio" && !tag.sequenceHeader && startAtMs > 0 && tag.dtsMs < startAtMs) return;
    if (tag.sequenceHeader) this.#awaited.delete(`${tag.kind} header`);
    else if (tag.kind === "video" && tag.keyframe) this.#awaited.delete("keyframe");
    // A picture whose keyframe never came cannot be shown.
    else if (tag.kind === "video" && this.#awaited.has("keyframe")) return;
    this.#held.push(tag);
    if (!tag.sequenceHeader) this.#firstMs ??= tag.dtsMs;
    const waitedMs = tag.sequenceHeader ? 0 : tag.dtsMs - (this.#firstMs ?? tag.dtsMs);
    if (this.#awaited.size === 0 || waitedMs >= LATE_AFTER_MS) this.#begin(this.#held);
  }

  /** Gives the held tags and makes the missing tracks, because the source has ended. */
  end(): void {
    if (this.#held?.some(({ sequenceHeader }) => !sequenceHeader) === true) this.#begin(this.#held);
  }

  #begin(held: readonly MediaTag[]): void {
    this.#held = undefined;
    const { size, audioFormat, onTag, onBegun } = this.#options;
    const firstMs = this.#firstMs ?? 0;
    if (this.#awaited.has("audio header")) onTag(silenceHeader(audioFormat, firstMs));
    const keyframe = held.find(({ kind, keyframe: key, sequenceHeader }) => kind === "video" && key && !sequenceHeader);
    if (keyframe === undefined || keyframe.dtsMs - firstMs > LONGEST_LEAD_MS) this.#made = new MadePicture(size);
    for (const tag of held) this.#pass(tag);
    this.#awaited.clear();
    onBegun();
  }

  #pass(tag: MediaTag): void {
    const made = this.#made;
    if (made !== undefined && !tag.sequenceHeader) {
      if (tag.kind === "video" && !tag.keyframe) return;
      if (tag.kind === "video") this.#made = undefined;
      else for (const picture of made.tagsAt(tag.dtsMs)) this.#options.onTag(picture);
    }
    // The header of a video that has not begun yet would replace the header of the made picture.
    if (made !== undefined && tag.kind === "video" && tag.sequenceHeader) {
      this.#header = tag;
      return;
    }
    if (this.#header !== undefined && tag.kind === "video") {
      this.#options.onTag(this.#header);
      this.#header = undefined;
    }
    this.#options.onTag(tag);
  }
}
