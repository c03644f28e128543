import { BitReader } from "./bit-reader.ts";
import { CodecError } from "./codec-error.ts";
import { withoutEmulationPrevention } from "./emulation-prevention.ts";
import type { Pps } from "./pps.ts";
import type { Sps } from "./sps.ts";

/** The parameter sets with which a slice is coded. */
export interface ParameterSets {
  readonly sps: Sps;
  readonly pps: Pps;
}

/** The fields of a slice header that determine the position of its picture in the output order (ITU-T H.264, 7.3.3). */
export interface SliceHeader extends ParameterSets {
  readonly type: "P" | "B" | "I";
  readonly idr: boolean;
  /** True if nal_ref_idc is not 0, which means that later pictures may be predicted from this one. */
  readonly reference: boolean;
  readonly frameNum: number;
  /** The field pic_order_cnt_lsb; 0 if the picture order is not of type 0. */
  readonly picOrderCntLsb: number;
  readonly deltaPicOrderCntBottom: number;
  /** The values delta_pic_order_cnt[0] and [1]; 0 if the picture order is not of type 1. */
  readonly deltaPicOrderCnt: readonly [number, number];
  /**
   * The commands by which the picture marks references (7.3.3.3). If there are none, the oldest reference is removed when there
   * are too many.
   */
  readonly adaptiveMarking: readonly MarkingCommand[];
}

/**
 * The memory_management_control_operation values (table 7-9): 5 removes all references, and 6 makes the picture itself
 * a long-term reference.
 */
export type MarkingCommand = 1 | 2 | 3 | 4 | 5 | 6;

const NAL_TYPE_SLICE = 1;
const NAL_TYPE_IDR_SLICE = 5;
/** The slice types by slice_type modulo 5. SP and SI slices are left out, because no profile in use has them. */
const SLICE_TYPES = ["P", "B", "I"] as const;
/**
 * The limit for the bytes that are read. The longest possible header, with 32 references reordered and weighted, is shorter.
 */
const MAX_HEADER_BYTES = 1024;
const MAX_REF_IDX_ACTIVE = 32;
/** The limit for the number of commands, with which every field of every reference can be named once. */
const MAX_COMMANDS = 66;

/**
 * Parses the header of one slice NAL unit up to its reference marking.
 *
 * @param find returns the parameter sets for a PPS id
 * @throws CodecError if the NAL unit is not a slice of a whole-frame picture with known parameter sets
 */
export function parseSliceHeader(nal: Uint8Array, find: (ppsId: number) => ParameterSets | undefined): SliceHeader {
  const head = nal[0] ?? 0;
  const nalType = head & 0x1f;
  const reference = ((head >> 5) & 3) !== 0;
  const idr = nalType === NAL_TYPE_IDR_SLICE;
  if (!idr && nalType !== NAL_TYPE_SLICE) throw new CodecError("The NAL unit is not a slice.");
  const reader = new BitReader(withoutEmulationPrevention(nal.subarray(1, 1 + MAX_HEADER_BYTES)));
  reader.unsignedExpGolomb(); // first_mb_in_slice
  const type = SLICE_TYPES[reader.unsignedExpGolomb() % 5];
  if (type === undefined) throw new CodecError("The slice is of a type that is not supported.");
  const sets = find(reader.unsignedExpGolomb());
  if (sets === undefined) throw new CodecError("The slice names parameter sets that are not there.");
  const { sps, pps } = sets;
  if (!sps.frameMbsOnly || sps.separatePlanes) throw new CodecError("Interlace and separate planes are not supported.");
  const frameNum = reader.bits(sps.log2MaxFrameNum);
  if (idr) reader.unsignedExpGolomb(); // idr_pic_id
  const order = parsePicOrder(reader, sets);
  if (pps.redundantPicCntPresent) reader.unsignedExpGolomb();
  const active = parseActiveReferences(reader, pps, type);
  for (let list = 0; list < active.length; list += 1) skipListModification(reader);
  const weighted = (type === "P" && pps.weightedPred) || (type === "B" && pps.weightedBipredIdc === 1);
  if (weighted) skipWeights(reader, sps, active);
  const adaptiveMarking = reference ? parseMarking(reader, idr) : [];
  return { sps, pps, type, idr, reference, frameNum, ...order, adaptiveMarking };
}

function parsePicOrder(
  reader: BitReader,
  { sps, pps }: ParameterSets,
): Pick<SliceHeader, "picOrderCntLsb" | "deltaPicOrderCntBottom" | "deltaPicOrderCnt"> {
  const order = sps.picOrderCnt;
  const both = pps.bottomFieldPicOrderInFramePresent;
  let picOrderCntLsb = 0;
  let deltaPicOrderCntBottom = 0;
  let deltaPicOrderCnt: readonly [number, number] = [0, 0];
  if (order.type === 0) {
    picOrderCntLsb = reader.bits(order.log2MaxLsb);
    if (both) deltaPicOrderCntBottom = reader.signedExpGolomb();
  }
  if (order.type === 1 && !order.deltaAlwaysZero) {
    deltaPicOrderCnt = [reader.signedExpGolomb(), both ? reader.signedExpGolomb() : 0];
  }
  return { picOrderCntLsb, deltaPicOrderCntBottom, deltaPicOrderCnt };
}

/** Returns the number of active references in each reference list. I slices have no list, P slices one and B slices two. */
function parseActiveReferences(reader: BitReader, pps: Pps, type: SliceHeader["type"]): readonly number[] {
  if (type === "I") return [];
  if (type === "B") reader.flag(); // direct_spatial_mv_pred_flag
  const defaults = type === "B" ? [pps.defaultRefIdxL0Active, pps.defaultRefIdxL1Active] : [pps.defaultRefIdxL0Active];
  if (!reader.flag()) return defaults;
  const active = defaults.map(() => reader.unsignedExpGolomb() + 1);
  if (Math.max(...active) > MAX_REF_IDX_ACTIVE)
    throw new CodecError("The slice says an impossible number of references.");
  return active;
}

/** Skips the modification of a reference list (7.3.3.1). */
function skipListModification(reader: BitReader): void {
  if (!reader.flag()) return;
  for (let count = 0; count < MAX_COMMANDS; count += 1) {
    const command = reader.unsignedExpGolomb();
    if (command === 3) return;
    if (command > 3) break;
    reader.unsignedExpGolomb();
  }
  throw new CodecError("The slice reorders its references in an impossible way.");
}

/** Skips the prediction weights (7.3.3.2). */
function skipWeights(reader: BitReader, sps: Sps, active: readonly number[]): void {
  const coloured = sps.chromaFormatIdc !== 0;
  reader.unsignedExpGolomb(); // luma_log2_weight_denom
  if (coloured) reader.unsignedExpGolomb(); // chroma_log2_weight_denom
  for (const count of active) {
    for (let index = 0; index < count; index += 1) {
      if (reader.flag()) skipNumbers(reader, 2);
      if (coloured && reader.flag()) skipNumbers(reader, 4);
    }
  }
}

function skipNumbers(reader: BitReader, count: number): void {
  for (let index = 0; index < count; index += 1) reader.signedExpGolomb();
}

/** Reads the commands that mark references (7.3.3.3). */
function parseMarking(reader: BitReader, idr: boolean): readonly MarkingCommand[] {
  if (idr) {
    reader.skip(2); // no_output_of_prior_pics_flag, long_term_reference_flag
    return [];
  }
  if (!reader.flag()) return [];
  const commands: MarkingCommand[] = [];
  while (commands.length < MAX_COMMANDS) {
    const command = reader.unsignedExpGolomb();
    if (command === 0) return commands;
    if (command > 6) break;
    // SAFETY: the value is 1 to 6.
    commands.push(command as MarkingCommand);
    if (command !== 5) reader.unsignedExpGolomb();
    if (command === 3) reader.unsignedExpGolomb();
  }
  throw new CodecError("The slice marks its references in an impossible way.");
}
