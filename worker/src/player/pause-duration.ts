/**
 * The longest pause in which a recorded source stays open, ms. After that it is closed, and opened again when playback
 * resumes.
 */
const LONGEST_HELD_MS = 60_000;

/**
 * Records whether the player is paused and for how long. The player applies the pause to the output through the
 * timeline. This class does not read a clock: the time is an argument.
 */
export class PauseDuration {
  readonly #longestMs: number;
  #active: boolean;
  #sinceMs = 0;

  /** @param longestMs the longest allowed pause */
  constructor(active: boolean, longestMs: number) {
    this.#active = active;
    this.#longestMs = longestMs;
  }

  get active(): boolean {
    return this.#active;
  }

  /** Sets whether playback is paused when the next source goes on the air. */
  set(active: boolean): void {
    this.#active = active;
  }

  /** @param anew false if playback is already paused; the length of the pause then continues to count */
  begin(nowMs: number, anew: boolean): void {
    if (anew) this.#sinceMs = nowMs;
    this.#active = true;
  }

  end(): void {
    this.#active = false;
  }

  isTooLong(nowMs: number): boolean {
    return nowMs - this.#sinceMs > this.#longestMs;
  }

  /**
   * Returns true if the source stays open during this pause. A live source is closed at once, because its media
   * continue to come.
   */
  holdsSource(nowMs: number, live: boolean): boolean {
    return nowMs - this.#sinceMs <= (live ? 0 : LONGEST_HELD_MS);
  }
}
