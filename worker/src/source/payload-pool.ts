const SLAB_BYTES = 64 * 1024;
/** Larger ones are rare, and would leave much of a slab unused. */
const MAX_POOLED_BYTES = SLAB_BYTES / 4;

/**
 * Cuts buffers out of larger ones: an ArrayBuffer for each picture would cost more, in garbage collection, than reading
 * it. One pool per source: what lies in a slab is sent and forgotten at about the same time, and the slab with it.
 */
export class PayloadPool {
  #slab: Buffer = Buffer.alloc(0);
  #used = 0;

  /** Uninitialised, like `Buffer.allocUnsafe`. */
  allocate(bytes: number): Buffer {
    if (bytes > MAX_POOLED_BYTES) return Buffer.allocUnsafeSlow(bytes);
    if (bytes > this.#slab.length - this.#used) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += bytes;
    return this.#slab.subarray(start, this.#used);
  }
}
