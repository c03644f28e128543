import { blackPicture } from "../media/codec/black-picture.ts";
import type { AudioFormat } from "../media/formats.ts";
import type { MediaTag } from "../media/media-tag.ts";

/** Somebody who joins waits for a keyframe: a made picture is sent anew so often, ms. */
const KEYFRAME_EVERY_MS = 2000;

/** ISO/IEC 14496-3, table 1.18. */
const SAMPLE_RATE_INDEX: Readonly<Record<number, number>> = { 48_000: 3, 44_100: 4 };
const AAC_LC = 2;

/**
 * The sequence header of AAC-LC in which silence is made where the source has no sound (yet): the timeline fills a track
 * of which it knows nothing but the header.
 */
export function silenceHeader({ sampleRateHz, channels }: AudioFormat, dtsMs: number): MediaTag {
  const index = SAMPLE_RATE_INDEX[sampleRateHz] ?? 3;
  const config = (AAC_LC << 11) | (index << 7) | (channels << 3);
  const payload = Buffer.from([0xaf, 0, config >> 8, config & 0xff]);
  return { kind: "audio", dtsMs, compositionMs: 0, keyframe: true, sequenceHeader: true, payload };
}

/** A black picture that stands in for one that is not there (yet); the timeline repeats it between its keyframes. */
export class MadePicture {
  readonly #header: Buffer;
  readonly #keyframe: Buffer;
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(size: { readonly width: number; readonly height: number }) {
    const { record, accessUnit } = blackPicture(size);
    this.#header = Buffer.concat([Buffer.from([0x17, 0, 0, 0, 0]), record]);
    this.#keyframe = Buffer.concat([Buffer.from([0x17, 1, 0, 0, 0]), accessUnit]);
  }

  /** What belongs before the sound of this time; mostly nothing. */
  tagsAt(dtsMs: number): MediaTag[] {
    if (dtsMs < this.#nextMs) return [];
    const first = this.#nextMs === Number.NEGATIVE_INFINITY;
    this.#nextMs = dtsMs + KEYFRAME_EVERY_MS;
    const common = { kind: "video", dtsMs, compositionMs: 0 } as const;
    const keyframe = { ...common, keyframe: true, sequenceHeader: false, payload: this.#keyframe };
    return first ? [{ ...common, keyframe: false, sequenceHeader: true, payload: this.#header }, keyframe] : [keyframe];
  }
}
