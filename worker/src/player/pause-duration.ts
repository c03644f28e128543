/** In a pause longer than this, ms, a recorded source is closed. It is opened again when playback resumes. */
const LONGEST_HELD_MS = 60_000;

/**
 * Whether the player is paused and for how long. The player applies the pause to the output through the timeline. Time
 * is passed as an argument.
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

  /** Returns true if the source stays open. A live source is closed at once, because it continues meanwhile. */
  holdsSource(nowMs: number, live: boolean): boolean {
    return nowMs - this.#sinceMs <= (live ? 0 : LONGEST_HELD_MS);
  }
}
