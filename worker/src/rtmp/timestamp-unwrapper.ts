/**
 * Makes RTMP's timestamps, which wrap at 2^32 ms (Adobe RTMP 1.0, section 4), continuous. Each step is taken in the shorter
 * direction, so that a small step back (audio behind video, a header at 0) does not become a jump of seven weeks.
 */
export class TimestampUnwrapper {
  #last: number | undefined;
  #unwrapped = 0;

  /**
   * @param timestamp from 0 to 2^32 - 1
   * @returns ms, beginning with the first timestamp unchanged; may be negative
   */
  unwrap(timestamp: number): number {
    // `| 0` converts the difference to a signed 32-bit number.
    this.#unwrapped = this.#last === undefined ? timestamp : this.#unwrapped + ((timestamp - this.#last) | 0);
    this.#last = timestamp;
    return this.#unwrapped;
  }
}
