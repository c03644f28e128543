import { BitWriter } from "../../media/codec/bit-writer.ts";
import { withEmulationPrevention } from "../../media/codec/emulation-prevention.ts";
import type { SliceHeader } from "../../media/codec/slice-header.ts";
import { SKIP_SLICE_QP, writeCabacSkips, writeCavlcSkips } from "./skip-slice-data.ts";

/** The profiles baseline, main and high, which rooms accept and for which this is tested. */
const PROFILES = new Set([66, 77, 100]);
/** The constraint flag for profiles with intra pictures only (ITU-T H.264, A.2.8 to A.2.11). */
const INTRA_ONLY = 0x10;
/** MaxFS of level 6.2 (table A-1), the largest possible picture. */
const MAX_MACROBLOCKS = 139_264;
const SLICE_TYPE_ALL_P = 5;
/** nal_ref_idc 0, nal_unit_type 1: a slice of a picture that is not used for prediction. */
const NON_REFERENCE_SLICE = 0x01;
/** An access unit delimiter, which announces I and P slices. */
const DELIMITER = Buffer.from([0x09, 0x30]);
/**
 * The first bytes of the tag body: FrameType 2 (inter) with CodecID 7 (AVC), then AVCPacketType 1. The CompositionTime
 * follows (Adobe FLV 10.1, E.4.3.1).
 */
const INTER_PICTURE_HEADER = Buffer.from([0x27, 1]);

export interface RepeatedPictureOptions {
  /** The slice header of the last picture that was sent. */
  readonly last: SliceHeader;
  /** Size of the length field before each NAL unit, bytes. */
  readonly nalLengthSize: 1 | 2 | 4;
  /** The FLV tag body of that picture. Its composition time is kept. */
  readonly lastTagBody: Buffer;
}

/**
 * Makes a P picture in which every macroblock is skipped. The decoder then repeats the last reference picture, sample
 * by sample (P_Skip next to skipped neighbours has no motion, ITU-T H.264, 8.4.1.1, and uncoded blocks are not
 * deblocked).
 *
 * The picture is not a reference (nal_ref_idc 0), so it does not displace any reference, and the next picture of the
 * source is decoded as if the repeated one had not been sent. The same bytes may be sent any number of times in a row:
 * the frame number follows that of the last reference, as that of the source's next picture will (7.4.3), and the
 * picture order is between the two. The delimiter in front separates equal pictures, which their slice headers do not
 * (7.4.1.2.4). Picture order type 2 forbids two such pictures in a row (8.2.1.3), because their order would be the
 * same. Decoders show them in decoding order, which is the order wanted here.
 *
 * @returns the FLV tag body, or undefined if the stream does not allow such a picture.
 */
export function makeRepeatedPicture(options: RepeatedPictureOptions): Buffer | undefined {
  const { last, nalLengthSize } = options;
  if (!isPossible(last)) return undefined;
  const writer = new BitWriter();
  writeSliceHeader(writer, last);
  const macroblocks = last.sps.widthInMbs * last.sps.heightInMapUnits;
  if (last.pps.entropyCodingMode) writeCabacSkips(writer, macroblocks);
  else writeCavlcSkips(writer, macroblocks);
  const slice = Buffer.concat([Buffer.from([NON_REFERENCE_SLICE]), withEmulationPrevention(writer.toBytes())]);
  if (nalLengthSize === 1 && slice.length > 0xff) return undefined;
  const compositionTime = options.lastTagBody.subarray(2, 5);
  const units = [DELIMITER, slice].flatMap((unit) => [nalLength(unit, nalLengthSize), unit]);
  return Buffer.concat([INTER_PICTURE_HEADER, compositionTime, ...units]);
}

function isPossible({ sps, type, adaptiveMarking, reference }: SliceHeader): boolean {
  if (!PROFILES.has(sps.profileIdc) || sps.maxNumRefFrames === 0) return false;
  if (sps.profileIdc === 100 && (sps.constraintFlags & INTRA_ONLY) !== 0) return false;
  if (!sps.frameMbsOnly || sps.widthInMbs * sps.heightInMapUnits > MAX_MACROBLOCKS) return false;
  // B pictures are excluded, because their display order differs from the decoding order.
  if (type === "B") return false;
  // Command 5 resets all counters. After command 6 the picture is no longer the first reference.
  if (adaptiveMarking.includes(5) || adaptiveMarking.includes(6)) return false;
  const order = sps.picOrderCnt;
  if (order.type !== 1 || !order.deltaAlwaysZero) return true;
  // With this type the order cannot be chosen: a picture that is not a reference may be ordered before the last one.
  return !reference || order.offsetForNonRefPic >= 0;
}

/** Writes the slice header (7.3.3). */
function writeSliceHeader(writer: BitWriter, last: SliceHeader): void {
  const { sps, pps } = last;
  writer.unsignedExpGolomb(0); // first_mb_in_slice
  writer.unsignedExpGolomb(SLICE_TYPE_ALL_P);
  writer.unsignedExpGolomb(pps.id);
  // A picture that is not a reference already has the next frame number.
  const frameNum = last.reference ? (last.frameNum + 1) % 2 ** sps.log2MaxFrameNum : last.frameNum;
  writer.bits(frameNum, sps.log2MaxFrameNum);
  writePicOrder(writer, last);
  if (pps.redundantPicCntPresent) writer.unsignedExpGolomb(0);
  writer.flag(pps.defaultRefIdxL0Active !== 1); // num_ref_idx_active_override_flag
  if (pps.defaultRefIdxL0Active !== 1) writer.unsignedExpGolomb(0); // one reference: the newest
  writer.flag(false); // ref_pic_list_modification_flag_l0
  if (pps.weightedPred) writeNoWeights(writer, sps.chromaFormatIdc !== 0);
  if (pps.entropyCodingMode) writer.unsignedExpGolomb(0); // cabac_init_idc
  writer.signedExpGolomb(SKIP_SLICE_QP - pps.picInitQp); // slice_qp_delta
  if (pps.deblockingFilterControlPresent) writer.unsignedExpGolomb(1); // disable_deblocking_filter_idc
}

/**
 * Writes a picture order one step after the last picture. If the source steps by one, this equals the order of its next
 * picture (8.2.1).
 */
function writePicOrder(writer: BitWriter, last: SliceHeader): void {
  const order = last.sps.picOrderCnt;
  const both = last.pps.bottomFieldPicOrderInFramePresent;
  if (order.type === 0) {
    writer.bits((last.picOrderCntLsb + 1) % 2 ** order.log2MaxLsb, order.log2MaxLsb);
    if (both) writer.signedExpGolomb(last.deltaPicOrderCntBottom);
  }
  if (order.type === 1 && !order.deltaAlwaysZero) {
    // The expected order is that of the last reference plus the offset (equation 8-10).
    const shift = last.reference ? order.offsetForNonRefPic : 0;
    writer.signedExpGolomb(last.deltaPicOrderCnt[0] + 1 - shift);
    if (both) writer.signedExpGolomb(last.deltaPicOrderCnt[1]);
  }
}

/** Writes a pred_weight_table (7.3.3.2) that changes nothing. */
function writeNoWeights(writer: BitWriter, coloured: boolean): void {
  writer.unsignedExpGolomb(0); // luma_log2_weight_denom
  if (coloured) writer.unsignedExpGolomb(0); // chroma_log2_weight_denom
  writer.flag(false); // luma_weight_l0_flag
  if (coloured) writer.flag(false); // chroma_weight_l0_flag
}

function nalLength(unit: Uint8Array, size: 1 | 2 | 4): Buffer {
  const length = Buffer.alloc(size);
  length.writeUIntBE(unit.length, 0, size);
  return length;
}
