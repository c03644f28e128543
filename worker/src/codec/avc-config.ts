import { CodecError } from "./codec-error.ts";
import { parseSps, type Sps } from "./sps.ts";

/** An AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1): the `avcC` box and the FLV sequence header's body. */
export interface AvcConfig {
  readonly profileIdc: number;
  readonly levelIdc: number;
  /** Bytes of the length that stands before each NAL unit. */
  readonly nalLengthSize: 1 | 2 | 4;
  /** The first SPS, parsed. */
  readonly sps: Sps;
  /** NAL units without start code, as views into the record. */
  readonly spsUnits: readonly Uint8Array[];
  readonly ppsUnits: readonly Uint8Array[];
}

/**
 * Parses the record; needs at least one SPS and one PPS in it.
 *
 * @throws CodecError for anything else.
 */
export function parseAvcConfig(record: Uint8Array): AvcConfig {
  if (record.length < 7) throw new CodecError("The AVC configuration is too short.");
  if (record[0] !== 1) throw new CodecError("The AVC configuration has an unknown version.");
  const nalLengthSize = ((record[4] ?? 0) & 3) + 1;
  if (nalLengthSize === 3) throw new CodecError("The AVC configuration has a forbidden NAL length size.");
  const sets = readUnits(record, 6, (record[5] ?? 0) & 0x1f);
  // High profiles append chroma format and bit depths; the SPS says them too.
  const pictures = readUnits(record, sets.end + 1, record[sets.end] ?? 0);
  const first = sets.units[0];
  if (first === undefined || pictures.units.length === 0) {
    throw new CodecError("The AVC configuration holds no parameter sets.");
  }
  return {
    profileIdc: record[1] ?? 0,
    levelIdc: record[3] ?? 0,
    // SAFETY: 1 to 4, and 3 was refused above.
    nalLengthSize: nalLengthSize as 1 | 2 | 4,
    sps: parseSps(first),
    spsUnits: sets.units,
    ppsUnits: pictures.units,
  };
}

function readUnits(record: Uint8Array, start: number, count: number): { units: Uint8Array[]; end: number } {
  const units: Uint8Array[] = [];
  let position = start;
  for (let index = 0; index < count; index += 1) {
    const length = ((record[position] ?? 0) << 8) | (record[position + 1] ?? 0);
    const end = position + 2 + length;
    if (length === 0 || end > record.length) throw new CodecError("A parameter set ends outside its configuration.");
    units.push(record.subarray(position + 2, end));
    position = end;
  }
  return { units, end: position };
}
