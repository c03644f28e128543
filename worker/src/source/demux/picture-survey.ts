import { AvcParameterSets } from "../../media/codec/avc-parameter-sets.ts";
import type { DemuxerOptions } from "./demuxer.ts";
import { NAL, saysRecoveryPoint } from "./nal-units.ts";
import { pictureTag, sequenceHeaderTag } from "./tag-maker.ts";

/**
 * The byte after the header of a slice with first_mb_in_slice 0 and slice_type 7, which means that all slices of the
 * picture are I slices.
 */
const FIRST_SLICE_ALL_INTRA = 0x88;

/**
 * Reads the NAL units of each picture, and gives the picture as a tag. A sequence header precedes it if the parameter
 * sets have changed.
 */
export class PictureSurvey {
  readonly sets = new AvcParameterSets();
  readonly #options: Pick<DemuxerOptions, "onTag" | "onRecoveryPoint">;
  #headerGiven = false;
  #idr = false;
  #recovers = false;
  #hasSps = false;
  #intra = false;

  constructor(options: Pick<DemuxerOptions, "onTag" | "onRecoveryPoint">) {
    this.#options = options;
  }

  begin(): void {
    this.#idr = false;
    this.#recovers = false;
    this.#hasSps = false;
    this.#intra = false;
  }

  /** Reads the unit whose header is at `start`. */
  unit(bytes: Buffer, start: number, end: number): void {
    const type = (bytes[start] ?? 0) & 0x1f;
    if (type === NAL.slice) {
      this.#intra ||= bytes[start + 1] === FIRST_SLICE_ALL_INTRA;
    } else if (type === NAL.idrSlice) {
      if (!this.#idr) this.sets.activate(bytes.subarray(start, end));
      this.#idr = true;
    } else if (type === NAL.sei) {
      this.#recovers ||= saysRecoveryPoint(bytes, start, end);
    } else if (type === NAL.sps || type === NAL.pps) {
      this.sets.collect(bytes.subarray(start, end));
      this.#hasSps ||= type === NAL.sps;
    }
  }

  /**
   * Gives the picture as a tag.
   *
   * @param payload the tag's payload, which holds the picture; the tag's header is written into it
   */
  give(payload: Buffer, dtsMs: number, ptsMs: number): void {
    const record = this.sets.takeChanged();
    if (record !== null) this.#options.onTag(sequenceHeaderTag("video", dtsMs, record));
    this.#headerGiven ||= record !== null;
    // Without parameter sets the picture cannot be decoded, so it is left out.
    if (!this.#headerGiven) return;
    if (!this.#idr && (this.#recovers || (this.#hasSps && this.#intra))) this.#options.onRecoveryPoint?.(dtsMs);
    this.#options.onTag(pictureTag({ dtsMs, ptsMs, keyframe: this.#idr }, payload));
  }
}
