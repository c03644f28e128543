/** The values of nal_unit_type that are used here (ITU-T H.264, table 7-1). */
export const NAL = {
  slice: 1,
  partitionA: 2,
  idrSlice: 5,
  sei: 6,
  sps: 7,
  pps: 8,
  delimiter: 9,
  auxiliarySlice: 19,
} as const;

const SEI_RECOVERY_POINT = 6;

/**
 * Returns true if a unit after a slice is the first of another picture (7.4.1.2.3). Slices are not parsed: a unit
 * starts a picture if it has a type that only precedes a picture, or is a slice with the first macroblock.
 */
export function startsPicture(bytes: Buffer, header: number, end: number): boolean {
  const type = (bytes[header] ?? 0) & 0x1f;
  if (type === NAL.slice || type === NAL.partitionA || type === NAL.idrSlice) {
    return header + 1 < end && ((bytes[header + 1] ?? 0) & 0x80) !== 0;
  }
  return (type >= NAL.sei && type <= NAL.delimiter) || (type >= 14 && type <= 18);
}

/** Returns true if an SEI unit (7.3.2.3.1) holds a recovery point, where decoding may begin without an IDR picture. */
export function saysRecoveryPoint(bytes: Buffer, header: number, end: number): boolean {
  let at = header + 1;
  while (at + 2 < end) {
    let type = 0;
    for (; at < end && bytes[at] === 0xff; at += 1) type += 255;
    type += bytes[at] ?? 0;
    at += 1;
    let size = 0;
    for (; at < end && bytes[at] === 0xff; at += 1) size += 255;
    size += bytes[at] ?? 0;
    at += 1 + size;
    if (type === SEI_RECOVERY_POINT) return true;
  }
  return false;
}
