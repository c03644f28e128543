import { BitReader } from "./bit-reader.ts";
import { CodecError } from "./codec-error.ts";
import { withoutEmulationPrevention } from "./emulation-prevention.ts";

/** The fields of an H.264 sequence parameter set (ITU-T H.264, 7.3.2.1.1 and annex E). */
export interface Sps {
  readonly id: number;
  readonly profileIdc: number;
  /** The byte with the constraint_set flags. */
  readonly constraintFlags: number;
  readonly levelIdc: number;
  /** The chroma format: 0 is monochrome, 1 is 4:2:0, 2 is 4:2:2, 3 is 4:4:4. */
  readonly chromaFormatIdc: number;
  readonly bitDepthLuma: number;
  readonly bitDepthChroma: number;
  /** True if the three colour planes are coded like three separate pictures. */
  readonly separatePlanes: boolean;
  /** The number of bits of `frame_num`. */
  readonly log2MaxFrameNum: number;
  readonly picOrderCnt: PicOrderCnt;
  readonly maxNumRefFrames: number;
  /** The size in macroblocks before cropping. If fields may occur, the height is that of a field. */
  readonly widthInMbs: number;
  readonly heightInMapUnits: number;
  /** The size in pixels after cropping. */
  readonly width: number;
  readonly height: number;
  /** True if every picture is a whole frame; false if fields may occur (interlace). */
  readonly frameMbsOnly: boolean;
  readonly vui: Vui;
}

/** The coding of the output order (8.2.1). */
export type PicOrderCnt =
  | { readonly type: 0; readonly log2MaxLsb: number }
  | { readonly type: 1; readonly deltaAlwaysZero: boolean; readonly offsetForNonRefPic: number }
  | { readonly type: 2 };

export interface Vui {
  /** The ratio of a pixel's width to its height; null if it is not given. */
  readonly sampleAspectRatio: readonly [number, number] | null;
  readonly fullRange: boolean;
  readonly matrixCoefficients: number | null;
  /** Frames per second according to the timing information; null if there is none. */
  readonly fps: number | null;
  /**
   * The number of frames that may precede a frame in decoding order and follow it in output order; null if it is not
   * given.
   */
  readonly maxNumReorderFrames: number | null;
}

const NAL_TYPE_SPS = 7;
/** The largest size of an SPS, which limits the work on hostile input. No encoder makes a longer one. */
const MAX_SPS_BYTES = 4096;
const MAX_SIDE_PIXELS = 16_384;
const EXTENDED_SAR = 255;
/** The sample aspect ratios by aspect_ratio_idc (table E-1). */
const SAMPLE_ASPECT_RATIOS: readonly (readonly [number, number] | null)[] = [
  null,
  [1, 1],
  [12, 11],
  [10, 11],
  [16, 11],
  [40, 33],
  [24, 11],
  [20, 11],
  [32, 11],
  [80, 33],
  [18, 11],
  [15, 11],
  [64, 33],
  [160, 99],
  [4, 3],
  [3, 2],
  [2, 1],
];
/** The profiles whose SPS contains the chroma format (7.3.2.1.1). */
const HIGH_PROFILES = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]);
/** The profiles in which constraint_set3_flag means "intra only" (A.2, E.2.1). */
const INTRA_PROFILES = new Set([44, 86, 100, 110, 122, 244]);
const NO_VUI: Vui = {
  sampleAspectRatio: null,
  fullRange: false,
  matrixCoefficients: null,
  fps: null,
  maxNumReorderFrames: null,
};

/**
 * Parses one SPS NAL unit, with its one-byte header and without a start code.
 *
 * @throws CodecError if the NAL unit is not a valid SPS
 */
export function parseSps(nal: Uint8Array): Sps {
  if (nal.length < 4 || nal.length > MAX_SPS_BYTES) throw new CodecError("The SPS has an impossible length.");
  if (((nal[0] ?? 0) & 0x1f) !== NAL_TYPE_SPS) throw new CodecError("The NAL unit is not an SPS.");
  const reader = new BitReader(withoutEmulationPrevention(nal.subarray(1)));
  const profileIdc = reader.bits(8);
  const constraintFlags = reader.bits(8);
  const levelIdc = reader.bits(8);
  const id = reader.unsignedExpGolomb();
  const format = HIGH_PROFILES.has(profileIdc)
    ? parseFormat(reader)
    : { chromaFormatIdc: 1, bitDepthLuma: 8, bitDepthChroma: 8, separatePlanes: false };
  const log2MaxFrameNum = parseCounterBits(reader);
  const picOrderCnt = parsePicOrderCnt(reader);
  const maxNumRefFrames = reader.unsignedExpGolomb();
  reader.flag(); // gaps_in_frame_num_value_allowed_flag
  const widthInMbs = reader.unsignedExpGolomb() + 1;
  const heightInMapUnits = reader.unsignedExpGolomb() + 1;
  const frameMbsOnly = reader.flag();
  if (!frameMbsOnly) reader.flag(); // mb_adaptive_frame_field_flag
  reader.flag(); // direct_8x8_inference_flag
  const fields = frameMbsOnly ? 1 : 2;
  const crop = reader.flag() ? parseCrop(reader, format, fields) : { x: 0, y: 0 };
  const width = widthInMbs * 16 - crop.x;
  const height = heightInMapUnits * 16 * fields - crop.y;
  if (!isSide(width) || !isSide(height)) throw new CodecError("The SPS says an impossible picture size.");
  const vui = reader.flag() ? parseVui(reader) : NO_VUI;
  return {
    id,
    profileIdc,
    constraintFlags,
    levelIdc,
    ...format,
    log2MaxFrameNum,
    picOrderCnt,
    maxNumRefFrames,
    widthInMbs,
    heightInMapUnits,
    width,
    height,
    frameMbsOnly,
    vui,
  };
}

/**
 * Returns true if the decoding order may differ from the output order (B-frames), false if it cannot, and null if the SPS does
 * not tell.
 */
export function reordersFrames(sps: Sps): boolean | null {
  // The baseline profile has no B slices (A.2.1). With picture order type 2, pictures are output in decoding order (8.2.1.3).
  if (sps.profileIdc === 66 || sps.picOrderCnt.type === 2) return false;
  if (INTRA_PROFILES.has(sps.profileIdc) && (sps.constraintFlags & 0x10) !== 0) return false;
  return sps.vui.maxNumReorderFrames === null ? null : sps.vui.maxNumReorderFrames > 0;
}

/** Returns ffmpeg's name for the pixel format; null if ffmpeg has none. */
export function pixelFormatOf(sps: Sps): string | null {
  const depth = sps.bitDepthLuma;
  if (sps.bitDepthChroma !== depth && sps.chromaFormatIdc !== 0) return null;
  const suffix = depth === 8 ? "" : `${depth}le`;
  if (sps.chromaFormatIdc === 0) return `gray${suffix}`;
  if (sps.chromaFormatIdc === 3 && sps.vui.matrixCoefficients === 0) return `gbrp${suffix}`;
  const sampling = ["420", "422", "444"][sps.chromaFormatIdc - 1];
  // Only ffmpeg's names for 8 bits distinguish the full range.
  return `${sps.vui.fullRange && depth === 8 ? "yuvj" : "yuv"}${sampling}p${suffix}`;
}

function isSide(pixels: number): boolean {
  return pixels > 0 && pixels <= MAX_SIDE_PIXELS;
}

interface Format {
  readonly chromaFormatIdc: number;
  readonly bitDepthLuma: number;
  readonly bitDepthChroma: number;
  readonly separatePlanes: boolean;
}

function parseFormat(reader: BitReader): Format {
  const chromaFormatIdc = reader.unsignedExpGolomb();
  if (chromaFormatIdc > 3) throw new CodecError("The SPS says an unknown chroma format.");
  const separatePlanes = chromaFormatIdc === 3 && reader.flag();
  const bitDepthLuma = reader.unsignedExpGolomb() + 8;
  const bitDepthChroma = reader.unsignedExpGolomb() + 8;
  if (bitDepthLuma > 14 || bitDepthChroma > 14) throw new CodecError("The SPS says an unknown bit depth.");
  reader.flag(); // qpprime_y_zero_transform_bypass_flag
  if (reader.flag()) skipScalingMatrix(reader, chromaFormatIdc === 3 ? 12 : 8);
  return { chromaFormatIdc, bitDepthLuma, bitDepthChroma, separatePlanes };
}

/** Skips the scaling matrix (7.3.2.1.1.1). */
function skipScalingMatrix(reader: BitReader, lists: number): void {
  for (let list = 0; list < lists; list += 1) {
    if (!reader.flag()) continue;
    const size = list < 6 ? 16 : 64;
    let last = 8;
    for (let index = 0; index < size; index += 1) {
      const next = (last + reader.signedExpGolomb() + 256) % 256;
      if (next === 0) break;
      last = next;
    }
  }
}

/** Reads log2_max_frame_num_minus4 or log2_max_pic_order_cnt_lsb_minus4, which is at most 12, and adds the 4. */
function parseCounterBits(reader: BitReader): number {
  const bits = reader.unsignedExpGolomb() + 4;
  if (bits > 16) throw new CodecError("The SPS says an impossible counter length.");
  return bits;
}

function parsePicOrderCnt(reader: BitReader): PicOrderCnt {
  const type = reader.unsignedExpGolomb();
  if (type === 0) return { type, log2MaxLsb: parseCounterBits(reader) };
  if (type === 2) return { type };
  if (type !== 1) throw new CodecError("The SPS says an unknown picture order.");
  const deltaAlwaysZero = reader.flag();
  const offsetForNonRefPic = reader.signedExpGolomb();
  reader.signedExpGolomb(); // offset_for_top_to_bottom_field
  const cycle = reader.unsignedExpGolomb();
  if (cycle > 255) throw new CodecError("The SPS says an impossible picture order cycle.");
  for (let index = 0; index < cycle; index += 1) reader.signedExpGolomb();
  return { type, deltaAlwaysZero, offsetForNonRefPic };
}

/** Returns the number of pixels to cut from the width and from the height (7.4.2.1.1, equations 7-19 to 7-22). */
function parseCrop(reader: BitReader, format: Format, fields: number): { x: number; y: number } {
  const subsampled = format.separatePlanes ? 0 : format.chromaFormatIdc;
  const unitX = subsampled === 1 || subsampled === 2 ? 2 : 1;
  const unitY = (subsampled === 1 ? 2 : 1) * fields;
  const left = reader.unsignedExpGolomb();
  const right = reader.unsignedExpGolomb();
  const top = reader.unsignedExpGolomb();
  const bottom = reader.unsignedExpGolomb();
  return { x: (left + right) * unitX, y: (top + bottom) * unitY };
}

/** Reads the VUI parameters (E.1.1) up to the number of reordered frames. */
function parseVui(reader: BitReader): Vui {
  const sampleAspectRatio = reader.flag() ? parseAspectRatio(reader) : null;
  if (reader.flag()) reader.flag(); // overscan
  let fullRange = false;
  let matrixCoefficients: number | null = null;
  if (reader.flag()) {
    reader.skip(3); // video_format
    fullRange = reader.flag();
    if (reader.flag()) {
      reader.skip(16); // colour_primaries, transfer_characteristics
      matrixCoefficients = reader.bits(8);
    }
  }
  if (reader.flag()) {
    reader.unsignedExpGolomb(); // chroma_sample_loc_type_top_field
    reader.unsignedExpGolomb(); // chroma_sample_loc_type_bottom_field
  }
  const fps = reader.flag() ? parseTiming(reader) : null;
  const nalHrd = reader.flag();
  if (nalHrd) skipHrd(reader);
  const vclHrd = reader.flag();
  if (vclHrd) skipHrd(reader);
  if (nalHrd || vclHrd) reader.flag(); // low_delay_hrd_flag
  reader.flag(); // pic_struct_present_flag
  const maxNumReorderFrames = reader.flag() ? parseReordering(reader) : null;
  return { sampleAspectRatio, fullRange, matrixCoefficients, fps, maxNumReorderFrames };
}

function parseAspectRatio(reader: BitReader): readonly [number, number] | null {
  const index = reader.bits(8);
  if (index !== EXTENDED_SAR) return SAMPLE_ASPECT_RATIOS[index] ?? null;
  const width = reader.bits(16);
  const height = reader.bits(16);
  return width === 0 || height === 0 ? null : [width, height];
}

function parseTiming(reader: BitReader): number | null {
  const unitsInTick = reader.bits(32);
  const timeScale = reader.bits(32);
  reader.flag(); // fixed_frame_rate_flag
  // A tick is the time of a field, and a frame has two fields.
  return unitsInTick === 0 || timeScale === 0 ? null : timeScale / (2 * unitsInTick);
}

/** Skips the HRD parameters (E.1.2). */
function skipHrd(reader: BitReader): void {
  const count = reader.unsignedExpGolomb() + 1;
  if (count > 32) throw new CodecError("The SPS says an impossible buffer model.");
  reader.skip(8); // bit_rate_scale, cpb_size_scale
  for (let index = 0; index < count; index += 1) {
    reader.unsignedExpGolomb(); // bit_rate_value_minus1
    reader.unsignedExpGolomb(); // cpb_size_value_minus1
    reader.flag(); // cbr_flag
  }
  reader.skip(20); // delay and time offset lengths
}

function parseReordering(reader: BitReader): number {
  reader.flag(); // motion_vectors_over_pic_boundaries_flag
  for (let index = 0; index < 4; index += 1) reader.unsignedExpGolomb(); // sizes and vector lengths
  return reader.unsignedExpGolomb();
}
