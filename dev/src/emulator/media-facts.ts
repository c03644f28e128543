/**
 * Reads the first bytes of FLV tag bodies and their sequence headers. The emulator reads them by itself,
 * not with the worker's parser, so that the two do not share a mistake.
 */
export type VideoFacts =
  | { readonly name: "sequence-header"; readonly codec: string; readonly size: FrameSize | null }
  | { readonly name: "frame"; readonly codec: string; readonly keyframe: boolean; readonly compositionMs: number }
  /** End of sequence, command frames, and what is too short to say anything. */
  | { readonly name: "other" };

export type AudioFacts =
  | { readonly name: "sequence-header"; readonly codec: string; readonly format: AudioFormat | null }
  | { readonly name: "frame"; readonly codec: string }
  | { readonly name: "other" };

export interface FrameSize {
  readonly width: number;
  readonly height: number;
}

export interface AudioFormat {
  readonly sampleRateHz: number;
  readonly channels: number;
}

const AVC = 7;
const AAC = 10;
const OTHER = { name: "other" } as const;

/** Reads a video tag's body (FLV 10.1, E.4.3.1; enhanced RTMP v1 for FourCC codecs). Never throws. */
export function readVideoFacts(body: Buffer): VideoFacts {
  const first = body[0];
  if (first === undefined) return OTHER;
  if ((first & 0x80) !== 0) return readEnhancedVideo(body, first);
  const codecId = first & 0x0f;
  const keyframe = first >> 4 === 1;
  if (codecId !== AVC) return { name: "frame", codec: `codec-${codecId}`, keyframe, compositionMs: 0 };
  if (body.length < 5) return OTHER;
  if (body[1] === 0) return { name: "sequence-header", codec: "h264", size: readAvcSize(body.subarray(5)) };
  if (body[1] !== 1) return OTHER;
  return { name: "frame", codec: "h264", keyframe, compositionMs: body.readIntBE(2, 3) };
}

function readEnhancedVideo(body: Buffer, first: number): VideoFacts {
  if (body.length < 5) return OTHER;
  const codec = body.toString("latin1", 1, 5).replace(/[^\x21-\x7e]/g, "?");
  const packetType = first & 0x0f;
  if (packetType === 0) return { name: "sequence-header", codec, size: null };
  const keyframe = ((first >> 4) & 0x07) === 1;
  if (packetType === 1) {
    return { name: "frame", codec, keyframe, compositionMs: body.length < 8 ? 0 : body.readIntBE(5, 3) };
  }
  return packetType === 3 ? { name: "frame", codec, keyframe, compositionMs: 0 } : OTHER;
}

/** Reads an audio tag's body (FLV 10.1, E.4.2.1). Never throws. */
export function readAudioFacts(body: Buffer): AudioFacts {
  const first = body[0];
  if (first === undefined) return OTHER;
  const codecId = first >> 4;
  if (codecId !== AAC) return { name: "frame", codec: `codec-${codecId}` };
  if (body.length < 2) return OTHER;
  if (body[1] === 0) return { name: "sequence-header", codec: "aac", format: readAacFormat(body.subarray(2)) };
  return { name: "frame", codec: "aac" };
}

const SAMPLE_RATES_HZ = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];

/** AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1), up to the channels. Returns null if it is not readable. */
function readAacFormat(config: Buffer): AudioFormat | null {
  const bits = new BitReader(config);
  if (bits.read(5) === 31) bits.read(6);
  const index = bits.read(4);
  const sampleRateHz = index === 15 ? bits.read(24) : SAMPLE_RATES_HZ[index];
  const configuration = bits.read(4);
  if (bits.exhausted || sampleRateHz === undefined) return null;
  return { sampleRateHz, channels: configuration === 7 ? 8 : configuration };
}

/** The size in the first SPS of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.2.4.1). Returns null if it is not readable. */
function readAvcSize(record: Buffer): FrameSize | null {
  if (record.length < 8 || ((record[5] ?? 0) & 0x1f) === 0) return null;
  const sps = record.subarray(8, 8 + record.readUInt16BE(6));
  return sps.length < 4 ? null : readSpsSize(sps);
}

const PROFILES_WITH_CHROMA = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]);

/** Rec. ITU-T H.264, 7.3.2.1.1. */
function readSpsSize(sps: Buffer): FrameSize | null {
  const bits = new BitReader(withoutEmulationPrevention(sps));
  bits.read(8); // NAL unit header
  const profile = bits.read(8);
  bits.read(16); // constraint flags, level
  bits.readUnsigned(); // seq_parameter_set_id
  let chromaFormat = 1;
  if (PROFILES_WITH_CHROMA.has(profile)) {
    chromaFormat = bits.readUnsigned();
    if (chromaFormat === 3) bits.read(1);
    bits.readUnsigned(); // bit_depth_luma_minus8
    bits.readUnsigned(); // bit_depth_chroma_minus8
    bits.read(1);
    if (bits.read(1) === 1) skipScalingLists(bits, chromaFormat === 3 ? 12 : 8);
  }
  bits.readUnsigned(); // log2_max_frame_num_minus4
  skipPictureOrder(bits);
  bits.readUnsigned(); // max_num_ref_frames
  bits.read(1);
  const widthInMacroblocks = bits.readUnsigned() + 1;
  const heightInMapUnits = bits.readUnsigned() + 1;
  const framesOnly = bits.read(1);
  if (framesOnly === 0) bits.read(1);
  bits.read(1);
  const fieldFactor = 2 - framesOnly;
  const cropX = chromaFormat === 1 || chromaFormat === 2 ? 2 : 1;
  const cropY = (chromaFormat === 1 ? 2 : 1) * fieldFactor;
  const [left, right, top, bottom] =
    bits.read(1) === 1
      ? [bits.readUnsigned(), bits.readUnsigned(), bits.readUnsigned(), bits.readUnsigned()]
      : [0, 0, 0, 0];
  if (bits.exhausted) return null;
  return {
    width: widthInMacroblocks * 16 - cropX * (left + right),
    height: heightInMapUnits * 16 * fieldFactor - cropY * (top + bottom),
  };
}

function skipPictureOrder(bits: BitReader): void {
  const type = bits.readUnsigned();
  if (type === 0) bits.readUnsigned();
  if (type !== 1) return;
  bits.read(1);
  bits.readUnsigned();
  bits.readUnsigned();
  const cycle = bits.readUnsigned();
  for (let i = 0; i < cycle && !bits.exhausted; i++) bits.readUnsigned();
}

function skipScalingLists(bits: BitReader, count: number): void {
  for (let list = 0; list < count; list++) {
    if (bits.read(1) === 0) continue;
    let next = 8;
    for (let i = 0; i < (list < 6 ? 16 : 64) && next !== 0; i++) next = (next + bits.readSigned() + 256) % 256;
  }
}

function withoutEmulationPrevention(nal: Buffer): Buffer {
  const kept = nal.filter((byte, i) => !(byte === 3 && i >= 2 && nal[i - 1] === 0 && nal[i - 2] === 0));
  return Buffer.from(kept);
}

/** Reads bits and Exp-Golomb codes; past the end it gives zeros and says so. */
class BitReader {
  exhausted = false;
  readonly #bytes: Buffer;
  #position = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  read(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) {
      const byte = this.#bytes[this.#position >> 3];
      if (byte === undefined) {
        this.exhausted = true;
        return 0;
      }
      value = value * 2 + ((byte >> (7 - (this.#position & 7))) & 1);
      this.#position++;
    }
    return value;
  }

  readUnsigned(): number {
    let zeros = 0;
    while (this.read(1) === 0) {
      zeros++;
      if (this.exhausted || zeros > 31) {
        this.exhausted = true;
        return 0;
      }
    }
    return 2 ** zeros - 1 + this.read(zeros);
  }

  readSigned(): number {
    const code = this.readUnsigned();
    return code % 2 === 1 ? (code + 1) / 2 : -code / 2;
  }
}
