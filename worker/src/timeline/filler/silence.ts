import type { AacConfig } from "../../codec/aac-config.ts";
import type { FillFrame } from "../gap-filler.ts";

const AAC_LC = 2;
/**
 * A raw_data_block (ISO/IEC 14496-3, 4.4.2.1) of one element in which no band is coded (max_sfb 0), so that the spectrum
 * is empty whatever the sample rate: these are the frames that ffmpeg's encoder makes of digital silence. Mono: a
 * single_channel_element; stereo: a channel_pair_element with a common window.
 */
const EMPTY_FRAMES: Readonly<Record<number, readonly number[]>> = {
  1: [0x01, 0x18, 0x20, 0x07],
  2: [0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c],
};
const PACKET_RAW = 1;

/** Frames of AAC silence. */
export class Silence {
  readonly #payload: Buffer;
  readonly #frameMs: number;
  /** How much longer the frames given out so far last than was said of them, ms. */
  #owedMs = 0;

  private constructor(payload: Buffer, frameMs: number) {
    this.#payload = payload;
    this.#frameMs = frameMs;
  }

  /**
   * @param audioTagHeader the first byte of the stream's FLV audio tags.
   * @returns undefined where the format has no known silent frame: not AAC-LC, other than one or two channels.
   */
  static of(config: AacConfig, audioTagHeader: number): Silence | undefined {
    const frame = EMPTY_FRAMES[config.channelConfiguration];
    if (frame === undefined || config.objectType !== AAC_LC || config.sbr || config.ps) return undefined;
    if (config.samplesPerFrame !== 1024) return undefined;
    return new Silence(Buffer.from([audioTagHeader, PACKET_RAW, ...frame]), (1024 * 1000) / config.sampleRateHz);
  }

  /**
   * The next frame. A frame of 48 kHz lasts 21⅓ ms, timestamps are whole ms: the durations are 21, 21 and 22 in turn, so
   * that an hour of silence is as long as it claims to be.
   */
  next(): FillFrame {
    this.#owedMs += this.#frameMs;
    const durationMs = Math.round(this.#owedMs);
    this.#owedMs -= durationMs;
    return { payload: this.#payload, durationMs };
  }
}
