import { setImmediate } from "node:timers/promises";

/** About as many table entries as are read in a millisecond or two. */
export const UNITS_IN_A_SLICE = 100_000;

/**
 * Long work in short pieces. All rooms of a worker share one event loop, so that reading the index of a long film, or
 * one that only pretends to be long, must let the others go on in between.
 */
export class WorkSlices {
  readonly #pause: () => Promise<unknown>;
  #left = UNITS_IN_A_SLICE;

  /** @param pause lets the rest of the process go on */
  constructor(pause: () => Promise<unknown> = () => setImmediate()) {
    this.#pause = pause;
  }

  /**
   * Counts work that was done; a unit is a table entry that was read.
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
