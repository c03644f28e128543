import { AAC_SAMPLE_RATES_HZ } from "./aac-config.ts";

/** The fields of the fixed and variable header of one ADTS frame (ISO/IEC 13818-7, 6.2; ISO/IEC 14496-3, 1.A.2.2). */
export interface AdtsHeader {
  /** The object type as in an AudioSpecificConfig: 2 is AAC-LC. An HE-AAC stream has the object type of its core codec here. */
  readonly objectType: number;
  readonly sampleRateIndex: number;
  readonly sampleRateHz: number;
  /** The channelConfiguration; 0 means that a program config element in the frame gives the channels. */
  readonly channelConfiguration: number;
  /** The length of the header: 7 bytes, or 9 with a checksum. */
  readonly headerBytes: number;
  /** The length of the frame in bytes, including its header. */
  readonly frameBytes: number;
  /** The number of raw data blocks in the frame, of 1024 samples each. */
  readonly blocks: number;
}

export const ADTS_HEADER_BYTES = 7;
export const AAC_BLOCK_SAMPLES = 1024;

/** Reads the header at this offset. Returns null if there is no ADTS header, or if the bytes end inside it. */
export function parseAdtsHeader(bytes: Uint8Array, at: number): AdtsHeader | null {
  if (at + ADTS_HEADER_BYTES > bytes.length) return null;
  const second = bytes[at + 1] ?? 0;
  // The header begins with twelve one bits and a layer field of 0. MPEG audio of layers I to III never has 0 there.
  if (bytes[at] !== 0xff || (second & 0xf6) !== 0xf0) return null;
  const third = bytes[at + 2] ?? 0;
  const fourth = bytes[at + 3] ?? 0;
  const sampleRateIndex = (third >> 2) & 0x0f;
  const sampleRateHz = AAC_SAMPLE_RATES_HZ[sampleRateIndex];
  if (sampleRateHz === undefined) return null;
  const headerBytes = (second & 1) === 1 ? 7 : 9;
  const frameBytes = ((fourth & 3) << 11) | ((bytes[at + 4] ?? 0) << 3) | ((bytes[at + 5] ?? 0) >> 5);
  if (frameBytes <= headerBytes) return null;
  return {
    objectType: (third >> 6) + 1,
    sampleRateIndex,
    sampleRateHz,
    channelConfiguration: ((third & 1) << 2) | (fourth >> 6),
    headerBytes,
    frameBytes,
    blocks: ((bytes[at + 6] ?? 0) & 3) + 1,
  };
}

/** Returns the AudioSpecificConfig that is equivalent to an ADTS header (ISO/IEC 14496-3, 1.6.2.1). */
export function aacConfigOfAdts(header: AdtsHeader): Buffer {
  const { objectType, sampleRateIndex, channelConfiguration } = header;
  return Buffer.of(
    (objectType << 3) | (sampleRateIndex >> 1),
    ((sampleRateIndex & 1) << 7) | (channelConfiguration << 3),
  );
}
