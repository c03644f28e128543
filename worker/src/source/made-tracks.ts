import { blackPicture } from "../media/codec/black-picture.ts";
import type { AudioFormat } from "../media/formats.ts";
import type { MediaTag } from "../media/media-tag.ts";

/** The distance of keyframes in a made picture, ms. A user who joins waits for the next keyframe. */
const KEYFRAME_EVERY_MS = 2000;

/** The samplingFrequencyIndex of each sample rate that rooms take (ISO/IEC 14496-3, table 1.18). */
const SAMPLE_RATE_INDEX: Readonly<Record<number, number>> = { 48_000: 3, 44_100: 4 };
const AAC_LC = 2;

/**
 * Returns the sequence header of the AAC-LC silence for a source that has no sound (yet). The timeline fills a track of
 * which it has only the header.
 */
export function silenceHeader({ sampleRateHz, channels }: AudioFormat, dtsMs: number): MediaTag {
  const index = SAMPLE_RATE_INDEX[sampleRateHz] ?? 3;
  const config = (AAC_LC << 11) | (index << 7) | (channels << 3);
  const payload = Buffer.from([0xaf, 0, config >> 8, config & 0xff]);
  return { kind: "audio", dtsMs, compositionMs: 0, keyframe: true, sequenceHeader: true, payload };
}

/** A black picture for a source that has no picture (yet). The timeline repeats it between its keyframes. */
export class MadePicture {
  readonly #header: Buffer;
  readonly #keyframe: Buffer;
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(size: { readonly width: number; readonly height: number }) {
    const { record, accessUnit } = blackPicture(size);
    this.#header = Buffer.concat([Buffer.from([0x17, 0, 0, 0, 0]), record]);
    this.#keyframe = Buffer.concat([Buffer.from([0x17, 1, 0, 0, 0]), accessUnit]);
  }

  /** Returns the tags to be sent before the sound of this time; the list is mostly empty. */
  tagsAt(dtsMs: number): MediaTag[] {
    if (dtsMs < this.#nextMs) return [];
    const first = this.#nextMs === Number.NEGATIVE_INFINITY;
    this.#nextMs = dtsMs + KEYFRAME_EVERY_MS;
    const common = { kind: "video", dtsMs, compositionMs: 0 } as const;
    const keyframe = { ...common, keyframe: true, sequenceHeader: false, payload: this.#keyframe };
    return first ? [{ ...common, keyframe: false, sequenceHeader: true, payload: this.#header }, keyframe] : [keyframe];
  }
}
