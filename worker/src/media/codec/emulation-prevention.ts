/**
 * Removes the emulation prevention bytes of a NAL unit (ITU-T H.264, 7.3.1): 00 00 03 becomes 00 00. The input begins
 * after the one-byte header.
 */
export function withoutEmulationPrevention(bytes: Uint8Array): Uint8Array {
  const plain = new Uint8Array(bytes.length);
  let length = 0;
  let zeros = 0;
  for (const byte of bytes) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0;
      continue;
    }
    zeros = byte === 0 ? zeros + 1 : 0;
    plain[length] = byte;
    length += 1;
  }
  return plain.subarray(0, length);
}

/** Adds the emulation prevention bytes (7.4.1): 03 is inserted after 00 00 if a byte from 00 to 03 follows. */
export function withEmulationPrevention(plain: Uint8Array): Uint8Array {
  // At most one byte is added for every two zeros.
  const bytes = new Uint8Array(plain.length + (plain.length >> 1));
  let length = 0;
  let zeros = 0;
  for (const byte of plain) {
    if (zeros >= 2 && byte <= 3) {
      bytes[length] = 3;
      length += 1;
      zeros = 0;
    }
    zeros = byte === 0 ? zeros + 1 : 0;
    bytes[length] = byte;
    length += 1;
  }
  return bytes.subarray(0, length);
}
