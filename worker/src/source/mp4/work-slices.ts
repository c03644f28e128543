import { setImmediate } from "node:timers/promises";

/** The number of table entries that are read in a slice, which takes one or two milliseconds. */
export const UNITS_IN_A_SLICE = 100_000;

/**
 * Divides long work into slices. All rooms of a worker share one event loop, so reading the index of a long film, or
 * one that only pretends to be long, must pause to let other work run.
 */
export class WorkSlices {
  readonly #pause: () => Promise<unknown>;
  #left = UNITS_IN_A_SLICE;

  /** @param pause lets other work of the process run */
  constructor(pause: () => Promise<unknown> = () => setImmediate()) {
    this.#pause = pause;
  }

  /**
   * Counts finished work. A unit is one table entry that was read.
   *
   * @returns true when it is time to call `pause`
   */
  spent(units: number): boolean {
    this.#left -= units;
    return this.#left <= 0;
  }

  async pause(): Promise<void> {
    await this.#pause();
    this.#left = UNITS_IN_A_SLICE;
  }
}
