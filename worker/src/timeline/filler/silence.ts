import type { AacConfig } from "../../media/codec/aac-config.ts";
import type { FillFrame } from "../gap-filler.ts";

const AAC_LC = 2;
const PACKET_RAW = 1;
/**
 * For each channelConfiguration, a raw_data_block (ISO/IEC 14496-3, 4.4.2.1) with one element in which no band is coded
 * (max_sfb 0), so that the spectrum is empty at every sample rate. ffmpeg's encoder makes the same frames from digital
 * silence. Mono uses a single_channel_element, stereo a channel_pair_element with a common window.
 */
const EMPTY_FRAMES: Readonly<Record<number, readonly number[]>> = {
  1: [0x01, 0x18, 0x20, 0x07],
  2: [0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c],
};

/**
 * Returns a frame of AAC silence.
 *
 * @param audioTagHeader the first byte of the stream's FLV audio tags.
 * @returns undefined if no silent frame is known: not AAC-LC, not one or two channels, or 960 samples per frame.
 */
export function silentFrame(config: AacConfig, audioTagHeader: number): FillFrame | undefined {
  const frame = EMPTY_FRAMES[config.channelConfiguration];
  if (frame === undefined || config.objectType !== AAC_LC || config.sbr || config.ps) return undefined;
  if (config.samplesPerFrame !== 1024) return undefined;
  return {
    payload: Buffer.from([audioTagHeader, PACKET_RAW, ...frame]),
    durationMs: (1024 * 1000) / config.sampleRateHz,
  };
}
