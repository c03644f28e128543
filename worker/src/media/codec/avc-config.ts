import { CodecError } from "./codec-error.ts";
import { parseSps, type Sps } from "./sps.ts";

/**
 * An AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1): the content of the `avcC` box and of an FLV sequence header.
 */
export interface AvcConfig {
  readonly profileIdc: number;
  readonly levelIdc: number;
  /** The size in bytes of the length field before each NAL unit. */
  readonly nalLengthSize: 1 | 2 | 4;
  /** The first SPS, parsed. */
  readonly sps: Sps;
  /** The SPS units without start codes, as views of the record. */
  readonly spsUnits: readonly Uint8Array[];
  readonly ppsUnits: readonly Uint8Array[];
}

/**
 * The profiles whose record contains the chroma format (5.3.3.1.2). ffmpeg writes the format for all profiles except baseline,
 * main and extended.
 */
const PROFILES_WITH_FORMAT = new Set([100, 110, 122, 144, 244]);

/**
 * Parses the record, which must contain at least one SPS and one PPS.
 *
 * @throws CodecError if the record is anything else
 */
export function parseAvcConfig(record: Uint8Array): AvcConfig {
  if (record.length < 7) throw new CodecError("The AVC configuration is too short.");
  if (record[0] !== 1) throw new CodecError("The AVC configuration has an unknown version.");
  const nalLengthSize = ((record[4] ?? 0) & 3) + 1;
  if (nalLengthSize === 3) throw new CodecError("The AVC configuration has a forbidden NAL length size.");
  const sets = readUnits(record, 6, (record[5] ?? 0) & 0x1f);
  // The chroma format and bit depths that follow in high profiles are not read, because the SPS contains them too.
  const pictures = readUnits(record, sets.end + 1, record[sets.end] ?? 0);
  const first = sets.units[0];
  if (first === undefined || pictures.units.length === 0) {
    throw new CodecError("The AVC configuration holds no parameter sets.");
  }
  return {
    profileIdc: record[1] ?? 0,
    levelIdc: record[3] ?? 0,
    // SAFETY: the value is 1 to 4, and 3 was refused above.
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

/**
 * Writes a record with the given parameter sets, which have no start codes. The record sets the size of NAL lengths to 4 bytes,
 * and takes profile and level from the first SPS.
 *
 * @throws CodecError if the first SPS is not sound
 */
export function writeAvcConfig(spsUnits: readonly Uint8Array[], ppsUnits: readonly Uint8Array[]): Buffer {
  const first = spsUnits[0];
  if (first === undefined) throw new CodecError("There is no SPS.");
  const { profileIdc, chromaFormatIdc, bitDepthLuma, bitDepthChroma } = parseSps(first);
  const parts: Uint8Array[] = [
    // The record begins with the version; the profile, the compatibility flags and the level of the SPS; and the NAL length
    // size and the number of SPS units, each after reserved bits that are 1.
    Buffer.of(1, first[1] ?? 0, first[2] ?? 0, first[3] ?? 0, 0xff, 0xe0 | spsUnits.length),
    ...spsUnits.flatMap(withLength),
    Buffer.of(ppsUnits.length),
    ...ppsUnits.flatMap(withLength),
  ];
  if (PROFILES_WITH_FORMAT.has(profileIdc)) {
    parts.push(Buffer.of(0xfc | chromaFormatIdc, 0xf8 | (bitDepthLuma - 8), 0xf8 | (bitDepthChroma - 8), 0));
  }
  return Buffer.concat(parts);
}

function withLength(unit: Uint8Array): Uint8Array[] {
  return [Buffer.of(unit.length >> 8, unit.length & 0xff), unit];
}
