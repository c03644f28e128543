import { parseAvcConfig } from "../../../media/codec/avc-config.ts";
import { CodecError } from "../../../media/codec/codec-error.ts";
import type { DemuxerOptions } from "../demuxer.ts";
import { PictureSurvey } from "../picture-survey.ts";
import { TagMaker, VIDEO_HEADER_BYTES } from "../tag-maker.ts";
import type { SampleTaker } from "./media-lane.ts";

const LENGTH_BYTES = 4;

/**
 * Makes tags of the H.264 samples of an MP4 track. Keyframes are detected in the sample itself, because flags are often
 * wrong. Parameter sets inside the samples (`avc3`) make a new sequence header when they change.
 */
export class PictureSamples implements SampleTaker {
  readonly #survey: PictureSurvey;
  readonly #tags = new TagMaker();
  /** The number of bytes of the length before each NAL unit. */
  readonly #lengthBytes: number;

  /** @param record AVCDecoderConfigurationRecord; null if the parameter sets are in the samples. */
  constructor(options: Pick<DemuxerOptions, "onTag" | "onRecoveryPoint">, record: Buffer | null) {
    this.#survey = new PictureSurvey(options);
    this.#lengthBytes = record === null ? LENGTH_BYTES : ((record[4] ?? 3) & 3) + 1;
    if (record !== null) this.#collect(record);
  }

  room(bytes: number): { readonly payload: Buffer; readonly offset: number } {
    if (this.#lengthBytes !== LENGTH_BYTES) return { payload: Buffer.allocUnsafe(bytes), offset: 0 };
    return { payload: this.#tags.room("video", bytes), offset: VIDEO_HEADER_BYTES };
  }

  give(written: Buffer, dtsMs: number, ptsMs: number): void {
    const payload = this.#lengthBytes === LENGTH_BYTES ? written : this.#widened(written);
    if (payload === null) return;
    this.#survey.begin();
    for (let at = VIDEO_HEADER_BYTES; at < payload.length; ) {
      if (at + LENGTH_BYTES > payload.length) return;
      const start = at + LENGTH_BYTES;
      at = start + payload.readUInt32BE(at);
      // If a unit ends outside its sample, the picture is damaged.
      if (at > payload.length) return;
      if (at > start) this.#survey.unit(payload, start, at);
    }
    this.#survey.give(payload, dtsMs, ptsMs);
  }

  /** Writes lengths of 4 bytes, which some receivers of FLV assume. Returns null if the sample is damaged. */
  #widened(sample: Buffer): Buffer | null {
    const size = this.#lengthBytes;
    let units = 0;
    let end = 0;
    while (end + size <= sample.length) {
      end += size + sample.readUIntBE(end, size);
      units += 1;
    }
    if (end !== sample.length) return null;
    const payload = this.#tags.room("video", sample.length + units * (LENGTH_BYTES - size));
    let to = VIDEO_HEADER_BYTES;
    for (let at = 0; at < sample.length; ) {
      const length = sample.readUIntBE(at, size);
      payload.writeUInt32BE(length, to);
      sample.copy(payload, to + LENGTH_BYTES, at + size, at + size + length);
      to += LENGTH_BYTES + length;
      at += size + length;
    }
    return payload;
  }

  /** Collects the parameter sets of a record. A record may have none; they are then in the samples. */
  #collect(record: Buffer): void {
    try {
      const { spsUnits, ppsUnits } = parseAvcConfig(record);
      for (const unit of [...spsUnits, ...ppsUnits]) this.#survey.sets.collect(unit);
    } catch (thrown) {
      if (!(thrown instanceof CodecError)) throw thrown;
    }
  }
}
