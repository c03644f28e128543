const START_BYTES = 16 * 1024;
/**
 * The largest buffer that is kept when its bytes are cleared. A larger one is released, so that one large picture does
 * not occupy memory permanently.
 */
const KEPT_BYTES = 512 * 1024;

/** Bytes of one elementary stream that wait for the rest of their picture or frame. The buffer is reused. */
export class Scratch {
  bytes: Buffer = Buffer.allocUnsafeSlow(START_BYTES);
  length = 0;
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Appends bytes. Returns false and appends nothing if the limit would be exceeded. */
  append(from: Buffer, start: number, end: number): boolean {
    const length = this.length + end - start;
    if (length > this.#maxBytes) return false;
    if (length > this.bytes.length) this.#grow(length);
    from.copy(this.bytes, this.length, start, end);
    this.length = length;
    return true;
  }

  /** Drops the first `count` bytes. */
  drop(count: number): void {
    this.bytes.copyWithin(0, count, this.length);
    this.length -= count;
  }

  clear(): void {
    this.length = 0;
    if (this.bytes.length > KEPT_BYTES) this.bytes = Buffer.allocUnsafeSlow(START_BYTES);
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.min(this.#maxBytes, Math.max(needed, this.bytes.length * 2)));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }
}
