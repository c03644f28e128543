/** Writes bits, the most significant first. */
export class BitWriter {
  readonly #bytes: number[] = [];
  #bitsInLast = 8;

  bit(value: number): void {
    if (this.#bitsInLast === 8) {
      this.#bytes.push(0);
      this.#bitsInLast = 0;
    }
    this.#bitsInLast += 1;
    const last = this.#bytes.length - 1;
    this.#bytes[last] = (this.#bytes[last] ?? 0) | ((value & 1) << (8 - this.#bitsInLast));
  }

  flag(value: boolean): void {
    this.bit(value ? 1 : 0);
  }

  /** Writes the low `count` bits (0 to 32) of an unsigned number. */
  bits(value: number, count: number): void {
    for (let at = count - 1; at >= 0; at -= 1) this.bit((value >>> at) & 1);
  }

  /** Writes an unsigned Exp-Golomb code, ue(v) (ITU-T H.264, 9.1). The value must be below 2^31. */
  unsignedExpGolomb(value: number): void {
    const code = value + 1;
    const length = 32 - Math.clz32(code);
    this.bits(0, length - 1);
    this.bits(code, length);
  }

  /** Writes a signed Exp-Golomb code, se(v) (9.1.1). The value must be between -2^30 and 2^30. */
  signedExpGolomb(value: number): void {
    this.unsignedExpGolomb(value > 0 ? 2 * value - 1 : -2 * value);
  }

  /** Fills the rest of the last byte with bits of this value. */
  alignToByte(value: 0 | 1): void {
    while (this.#bitsInLast !== 8) this.bit(value);
  }

  toBytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}
