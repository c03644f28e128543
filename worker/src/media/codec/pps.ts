import { BitReader } from "./bit-reader.ts";
import { CodecError } from "./codec-error.ts";
import { withoutEmulationPrevention } from "./emulation-prevention.ts";

/** The fields of an H.264 picture parameter set that are needed to read or write slices (ITU-T H.264, 7.3.2.2). */
export interface Pps {
  readonly id: number;
  readonly spsId: number;
  /** True for CABAC, false for CAVLC. */
  readonly entropyCodingMode: boolean;
  readonly bottomFieldPicOrderInFramePresent: boolean;
  readonly defaultRefIdxL0Active: number;
  readonly defaultRefIdxL1Active: number;
  readonly weightedPred: boolean;
  readonly weightedBipredIdc: number;
  readonly picInitQp: number;
  readonly deblockingFilterControlPresent: boolean;
  readonly redundantPicCntPresent: boolean;
}

const NAL_TYPE_PPS = 8;
const MAX_PPS_ID = 255;
const MAX_SPS_ID = 31;
const MAX_REF_IDX_ACTIVE = 32;
/** The number of bytes that are read. The needed fields are within them; scaling lists, which may follow, are not read. */
const MAX_READ_BYTES = 64;

/**
 * Parses the first part of one PPS NAL unit, with its one-byte header and without a start code.
 *
 * @throws CodecError if the NAL unit is not a valid PPS, or if it has several slice groups (FMO)
 */
export function parsePps(nal: Uint8Array): Pps {
  if (((nal[0] ?? 0) & 0x1f) !== NAL_TYPE_PPS) throw new CodecError("The NAL unit is not a PPS.");
  const reader = new BitReader(withoutEmulationPrevention(nal.subarray(1, 1 + MAX_READ_BYTES)));
  const id = reader.unsignedExpGolomb();
  const spsId = reader.unsignedExpGolomb();
  if (id > MAX_PPS_ID || spsId > MAX_SPS_ID) throw new CodecError("The PPS has an impossible id.");
  const entropyCodingMode = reader.flag();
  const bottomFieldPicOrderInFramePresent = reader.flag();
  // num_slice_groups_minus1
  if (reader.unsignedExpGolomb() > 0) throw new CodecError("Several slice groups are not supported.");
  const defaultRefIdxL0Active = reader.unsignedExpGolomb() + 1;
  const defaultRefIdxL1Active = reader.unsignedExpGolomb() + 1;
  if (Math.max(defaultRefIdxL0Active, defaultRefIdxL1Active) > MAX_REF_IDX_ACTIVE) {
    throw new CodecError("The PPS says an impossible number of references.");
  }
  const weightedPred = reader.flag();
  const weightedBipredIdc = reader.bits(2);
  const picInitQp = reader.signedExpGolomb() + 26;
  // The quantizer may be below 0 by 6 for each bit of depth over 8. The depth is at most 14 (7.4.2.2).
  if (picInitQp < -36 || picInitQp > 51) throw new CodecError("The PPS says an impossible quantizer.");
  reader.signedExpGolomb(); // pic_init_qs_minus26
  reader.signedExpGolomb(); // chroma_qp_index_offset
  const deblockingFilterControlPresent = reader.flag();
  reader.flag(); // constrained_intra_pred_flag
  return {
    id,
    spsId,
    entropyCodingMode,
    bottomFieldPicOrderInFramePresent,
    defaultRefIdxL0Active,
    defaultRefIdxL1Active,
    weightedPred,
    weightedBipredIdc,
    picInitQp,
    deblockingFilterControlPresent,
    redundantPicCntPresent: reader.flag(),
  };
}
