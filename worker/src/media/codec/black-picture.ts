import { BitWriter } from "./bit-writer.ts";
import { withEmulationPrevention } from "./emulation-prevention.ts";

/** A still picture in H.264 that any decoder shows as black. */
export interface BlackPicture {
  /** The AVCDecoderConfigurationRecord with the picture's parameter sets. */
  readonly record: Buffer;
  /** One IDR access unit: its NAL unit after a length of 4 bytes. */
  readonly accessUnit: Buffer;
}

const NAL_SPS = 0x67;
const NAL_PPS = 0x68;
const NAL_IDR_SLICE = 0x65;
const CONSTRAINED_BASELINE = 66;
const CONSTRAINT_FLAGS = 0xe0;
const LEVEL_4 = 40;
/** The quantiser at which the one coefficient of the picture gives exactly black. */
const SLICE_QP = 36;
const INITIAL_QP = 26;
/**
 * The absolute value of the luma DC level that gives black. A block without neighbours is predicted as 128, and black is 16
 * (ITU-R BT.601), so every sample must change by -112. At QP 36, the level -45 is scaled to -45 * 160 = -7200, and (-7200 + 32)
 * >> 6 is -112.
 */
const BLACK_DC_LEVEL = 45;

/**
 * Makes a black picture without an encoder. The first macroblock codes black, and all others are predicted from it (ITU-T
 * H.264, 7.3; Intra_16x16 with DC prediction and no residual). The picture takes about one byte per macroblock.
 *
 * @param size the size in pixels; both numbers are even
 */
export function blackPicture(size: { readonly width: number; readonly height: number }): BlackPicture {
  const columns = Math.ceil(size.width / 16);
  const rows = Math.ceil(size.height / 16);
  const sps = nalUnit(NAL_SPS, (bits) => writeSps(bits, { ...size, columns, rows }));
  const pps = nalUnit(NAL_PPS, writePps);
  const slice = nalUnit(NAL_IDR_SLICE, (bits) => writeSlice(bits, columns * rows));
  const record = Buffer.concat([
    Buffer.from([1, CONSTRAINED_BASELINE, CONSTRAINT_FLAGS, LEVEL_4, 0xff, 0xe1]),
    withLength16(sps),
    Buffer.from([1]),
    withLength16(pps),
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(slice.length);
  return { record, accessUnit: Buffer.concat([length, slice]) };
}

interface CodedSize {
  readonly width: number;
  readonly height: number;
  readonly columns: number;
  readonly rows: number;
}

/** Writes the sequence parameter set (7.3.2.1.1). */
function writeSps(bits: BitWriter, { width, height, columns, rows }: CodedSize): void {
  bits.bits(CONSTRAINED_BASELINE, 8);
  bits.bits(CONSTRAINT_FLAGS, 8);
  bits.bits(LEVEL_4, 8);
  bits.unsignedExpGolomb(0); // seq_parameter_set_id
  bits.unsignedExpGolomb(0); // log2_max_frame_num_minus4
  bits.unsignedExpGolomb(2); // pic_order_cnt_type: output order is decoding order
  bits.unsignedExpGolomb(1); // max_num_ref_frames
  bits.bits(0, 1); // gaps_in_frame_num_value_allowed_flag
  bits.unsignedExpGolomb(columns - 1);
  bits.unsignedExpGolomb(rows - 1);
  bits.bits(1, 1); // frame_mbs_only_flag
  bits.bits(1, 1); // direct_8x8_inference_flag
  const cropRight = (columns * 16 - width) / 2;
  const cropBottom = (rows * 16 - height) / 2;
  const cropped = cropRight > 0 || cropBottom > 0;
  bits.bits(cropped ? 1 : 0, 1);
  if (cropped) for (const crop of [0, cropRight, 0, cropBottom]) bits.unsignedExpGolomb(crop);
  bits.bits(0, 1); // vui_parameters_present_flag
}

/** Writes the picture parameter set (7.3.2.2). */
function writePps(bits: BitWriter): void {
  bits.unsignedExpGolomb(0); // pic_parameter_set_id
  bits.unsignedExpGolomb(0); // seq_parameter_set_id
  bits.bits(0, 1); // entropy_coding_mode_flag: CAVLC
  bits.bits(0, 1); // bottom_field_pic_order_in_frame_present_flag
  bits.unsignedExpGolomb(0); // num_slice_groups_minus1
  bits.unsignedExpGolomb(0); // num_ref_idx_l0_default_active_minus1
  bits.unsignedExpGolomb(0); // num_ref_idx_l1_default_active_minus1
  bits.bits(0, 1); // weighted_pred_flag
  bits.bits(0, 2); // weighted_bipred_idc
  bits.signedExpGolomb(0); // pic_init_qp_minus26
  bits.signedExpGolomb(0); // pic_init_qs_minus26
  bits.signedExpGolomb(0); // chroma_qp_index_offset
  bits.bits(1, 1); // deblocking_filter_control_present_flag
  bits.bits(0, 1); // constrained_intra_pred_flag
  bits.bits(0, 1); // redundant_pic_cnt_present_flag
}

/** Writes the slice header (7.3.3) and the macroblocks (7.3.5). */
function writeSlice(bits: BitWriter, macroblocks: number): void {
  bits.unsignedExpGolomb(0); // first_mb_in_slice
  bits.unsignedExpGolomb(7); // slice_type: I, and all slices of the picture are
  bits.unsignedExpGolomb(0); // pic_parameter_set_id
  bits.bits(0, 4); // frame_num
  bits.unsignedExpGolomb(0); // idr_pic_id
  bits.bits(0, 2); // no_output_of_prior_pics_flag, long_term_reference_flag
  bits.signedExpGolomb(SLICE_QP - INITIAL_QP); // slice_qp_delta
  bits.unsignedExpGolomb(1); // disable_deblocking_filter_idc
  for (let index = 0; index < macroblocks; index += 1) {
    bits.unsignedExpGolomb(3); // mb_type: Intra_16x16, DC prediction, no coded AC or chroma
    bits.unsignedExpGolomb(0); // intra_chroma_pred_mode: DC
    bits.signedExpGolomb(0); // mb_qp_delta
    if (index === 0) writeBlackDc(bits);
    else bits.bits(1, 1); // coeff_token: no coefficient
  }
}

/**
 * Writes the coefficients of the black block (7.3.5.3.2 and 9.2): one level that is not a trailing one, without zeros before
 * it.
 */
function writeBlackDc(bits: BitWriter): void {
  bits.bits(0b000101, 6); // coeff_token: TotalCoeff 1, TrailingOnes 0, nC 0 or 1 (table 9-5)
  // The levelCode of a negative level is 2 * |level| - 1. For the first level it is 2 less if there are no trailing ones
  // (9.2.2.1).
  const levelCode = 2 * BLACK_DC_LEVEL - 1 - 2;
  bits.bits(1, 16); // level_prefix 15
  bits.bits(levelCode - 30, 12); // level_suffix
  bits.bits(1, 1); // total_zeros: 0 (table 9-7)
}

function nalUnit(header: number, write: (bits: BitWriter) => void): Buffer {
  const bits = new BitWriter();
  write(bits);
  bits.bit(1); // rbsp_stop_one_bit
  bits.alignToByte(0);
  return Buffer.concat([Buffer.from([header]), withEmulationPrevention(bits.toBytes())]);
}

function withLength16(unit: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(unit.length);
  return Buffer.concat([length, unit]);
}
