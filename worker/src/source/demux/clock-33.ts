const WRAP = 2 ** 33;
const HALF = 2 ** 32;
const TICKS_PER_MS = 90;

/** Returns the signed difference between two times of a 33-bit clock, in the shorter direction. */
export function signedTicks(difference: number): number {
  const positive = ((difference % WRAP) + WRAP) % WRAP;
  return positive >= HALF ? positive - WRAP : positive;
}

export function ticksToMs(ticks: number): number {
  return ticks / TICKS_PER_MS;
}

/** Turns the 33-bit times (90 kHz) that all tracks of a stream share into one clock without wrap-around. */
export class Clock33 {
  #last: number | undefined;

  /** @param ticks a time from 0 to 2^33 - 1. @returns the time without wrap-around, in ticks; it may be negative */
  unwrap(ticks: number): number {
    this.#last = this.#last === undefined ? ticks : this.#last + signedTicks(ticks - this.#last);
    return this.#last;
  }
}
