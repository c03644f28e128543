const HEADER_BYTES = 3;
const MAX_SECTION_BYTES = HEADER_BYTES + 4093;

/** Joins the sections of program specific information (ISO/IEC 13818-1, 2.4.4) of one PID. */
export class SectionReader {
  readonly #onSection: (section: Buffer) => void;
  readonly #bytes = Buffer.allocUnsafe(MAX_SECTION_BYTES);
  #length = 0;
  /** True if a section has begun, or if another one may follow the last one in the same packet. */
  #open = false;
  #sumSeenRight = false;

  /** @param onSection called with each whole section, which is valid until the call returns. */
  constructor(onSection: (section: Buffer) => void) {
    this.#onSection = onSection;
  }

  /** Reads the payload of one packet. */
  packet(bytes: Buffer, start: number, end: number, unitStarts: boolean): void {
    if (!unitStarts) {
      if (this.#open) this.#take(bytes, start, end);
      return;
    }
    const pointer = start + 1 + (bytes[start] ?? 0);
    if (pointer > end) return this.lose();
    if (this.#open && this.#length > 0) this.#take(bytes, start + 1, pointer);
    this.#length = 0;
    this.#open = true;
    this.#take(bytes, pointer, end);
  }

  /** Drops the incomplete section, because bytes are missing. */
  lose(): void {
    this.#open = false;
    this.#length = 0;
  }

  #take(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      // A table id of all ones means that the rest of the packet is stuffing.
      if (this.#length === 0 && bytes[at] === 0xff) return this.lose();
      const header = this.#length < HEADER_BYTES;
      const wanted = header ? HEADER_BYTES : this.#sectionBytes();
      const copied = bytes.copy(this.#bytes, this.#length, at, Math.min(end, at + wanted - this.#length));
      this.#length += copied;
      at += copied;
      if (this.#length < HEADER_BYTES) return;
      if (this.#sectionBytes() > MAX_SECTION_BYTES) return this.lose();
      if (this.#length < this.#sectionBytes()) continue;
      const section = this.#bytes.subarray(0, this.#length);
      this.#length = 0;
      if (this.#isTrusted(section)) this.#onSection(section);
    }
  }

  #sectionBytes(): number {
    return HEADER_BYTES + (((this.#bytes[1] ?? 0) & 0x0f) << 8) + (this.#bytes[2] ?? 0);
  }

  /** Returns true if the checksum is right, or has never been right so far: some muxers never write it. */
  #isTrusted(section: Buffer): boolean {
    const right = crc32(section) === 0;
    this.#sumSeenRight ||= right;
    return right || !this.#sumSeenRight;
  }
}

const POLYNOMIAL = 0x04c1_1db7;
const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit += 1) crc = crc < 0 ? (crc << 1) ^ POLYNOMIAL : crc << 1;
  return crc;
});

/** The CRC of ISO/IEC 13818-1, annex A; it is 0 over a section with its checksum. */
export function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = (crc << 8) ^ (CRC_TABLE[((crc >>> 24) ^ byte) & 0xff] ?? 0);
  return crc >>> 0;
}
