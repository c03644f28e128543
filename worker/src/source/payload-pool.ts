const SLAB_BYTES = 64 * 1024;
/**
 * The largest buffer that is cut from a slab. Larger ones are rare and would leave much of a slab unused, so they are
 * allocated separately.
 */
const MAX_POOLED_BYTES = SLAB_BYTES / 4;

/**
 * Cuts buffers from larger ones, because the garbage collection of an ArrayBuffer for each picture would cost more than
 * reading it. Each source has its own pool: the buffers of a slab are then released at about the same time, and the
 * slab with them.
 */
export class PayloadPool {
  #slab: Buffer = Buffer.alloc(0);
  #used = 0;

  /** Returns an uninitialised buffer, like `Buffer.allocUnsafe`. */
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
