import { CodecError } from "./codec-error.ts";

/** Reads bits, the most significant first. Throws `CodecError` on reading past the end. */
export class BitReader {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get bitsLeft(): number {
    return this.#bytes.length * 8 - this.#position;
  }

  /** Returns the next `count` bits (0 to 32) as an unsigned number. */
  bits(count: number): number {
    if (count > this.bitsLeft) throw new CodecError("The bits end too early.");
    let value = 0;
    for (let read = 0; read < count; read += 1) value = value * 2 + this.#bit();
    return value;
  }

  flag(): boolean {
    return this.bits(1) === 1;
  }

  skip(count: number): void {
    if (count > this.bitsLeft) throw new CodecError("The bits end too early.");
    this.#position += count;
  }

  alignToByte(): void {
    this.#position = Math.ceil(this.#position / 8) * 8;
  }

  /** Reads an unsigned Exp-Golomb code, ue(v) (ITU-T H.264, 9.1). */
  unsignedExpGolomb(): number {
    let zeros = 0;
    while (!this.flag()) {
      zeros += 1;
      if (zeros > 31) throw new CodecError("An Exp-Golomb code is too long.");
    }
    return 2 ** zeros - 1 + this.bits(zeros);
  }

  /** Reads a signed Exp-Golomb code, se(v) (ITU-T H.264, 9.1.1). */
  signedExpGolomb(): number {
    const code = this.unsignedExpGolomb();
    return code % 2 === 1 ? (code + 1) / 2 : -(code / 2);
  }

  #bit(): number {
    const byte = this.#bytes[this.#position >> 3] ?? 0;
    const bit = (byte >> (7 - (this.#position & 7))) & 1;
    this.#position += 1;
    return bit;
  }
}
