import type { AudioFormat } from "../media/formats.ts";
import type { MediaTag } from "../media/media-tag.ts";
import { MadePicture, silenceHeader } from "./made-tracks.ts";

/** A track that is not there after so much of the other one is late, ms: what is missing is made until it comes. */
const LATE_AFTER_MS = 3000;
/** Sound that begins so much before the first picture is heard with a made picture, ms; less is a loose start. */
const LONGEST_LEAD_MS = 500;

export interface TrackStartOptions {
  /** Of the picture that is made while there is none. */
  readonly size: { readonly width: number; readonly height: number };
  readonly audioFormat: AudioFormat;
  /** Where the source is to begin, ms; sound before it is left out. */
  readonly startAtMs: number;
  readonly onTag: (tag: MediaTag) => void;
  /** A picture, or what stands in for one, and the sound's header are given: the source can be played. */
  readonly onBegun: () => void;
}

/**
 * The beginning of a recorded source whose tracks may begin at different times. Tags are held until both tracks are
 * there; a track that is late is made up for.
 */
export class TrackStart {
  readonly #options: TrackStartOptions;
  #held: MediaTag[] | undefined = [];
  readonly #awaited = new Set(["video header", "audio header", "keyframe"]);
  #firstMs: number | undefined;
  #made: MadePicture | undefined;
  /** Of the picture that is still to come. */
  #header: MediaTag | undefined;

  constructor(options: TrackStartOptions) {
    this.#options = options;
  }

  /** What has not come yet, in words; empty where nothing is missing. */
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
    // Pictures that hang on a keyframe which never came cannot be shown.
    else if (tag.kind === "video" && this.#awaited.has("keyframe")) return;
    this.#held.push(tag);
    if (!tag.sequenceHeader) this.#firstMs ??= tag.dtsMs;
    const waitedMs = tag.sequenceHeader ? 0 : tag.dtsMs - (this.#firstMs ?? tag.dtsMs);
    if (this.#awaited.size === 0 || waitedMs >= LATE_AFTER_MS) this.#begin(this.#held);
  }

  /** Nothing more comes: what is held is given, and what is missing is made. */
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
    // The header of a picture that is still to come would take the place of the made one's.
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
