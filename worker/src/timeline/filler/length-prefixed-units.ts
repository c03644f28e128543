/**
 * Yields the NAL units of one picture in the format of MP4 and FLV (ISO/IEC 14496-15, 5.3.4.2.1) as views. The
 * generator stops before a unit that is empty or too long for the data, so that hostile lengths cost nothing.
 */
export function* lengthPrefixedUnits(data: Buffer, lengthSize: 1 | 2 | 4): Generator<Buffer, void> {
  let position = 0;
  while (position + lengthSize < data.length) {
    const start = position + lengthSize;
    const end = start + data.readUIntBE(position, lengthSize);
    if (end === start || end > data.length) return;
    yield data.subarray(start, end);
    position = end;
  }
}
