/**
 * Makes RTMP's timestamps, which wrap at 2^32 ms (Adobe RTMP 1.0, section 4), continuous. Each step is taken in the
 * shorter direction, so that a step back (audio behind video, a header at 0) stays a step back.
 */
export class TimestampUnwrapper {
  #last: number | undefined;
  #unwrapped = 0;

  /** @param timestamp 0 to 2^32 - 1. @returns ms, beginning with the first timestamp itself; may be negative. */
  unwrap(timestamp: number): number {
    // `| 0` reads the difference as a signed 32-bit number.
    this.#unwrapped = this.#last === undefined ? timestamp : this.#unwrapped + ((timestamp - this.#last) | 0);
    this.#last = timestamp;
    return this.#unwrapped;
  }
}
