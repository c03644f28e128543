/** ITU-T H.264, 7.3.1: inside a NAL unit 00 00 03 stands for 00 00. Give it what follows the one-byte header. */
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

/** The inverse, 7.4.1: an 03 goes before every byte that would make 00 00 00 to 00 00 03. */
export function withEmulationPrevention(plain: Uint8Array): Uint8Array {
  // At most one byte in two zeros is added.
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
