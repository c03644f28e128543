/** A recorded source that stands still for longer is closed, and opened again when it goes on, ms. */
const LONGEST_HELD_MS = 60_000;

/** Whether the player stands still, and since when. Time comes in as an argument. */
export class PauseDuration {
  readonly #longestMs: number;
  #active: boolean;
  #sinceMs = 0;

  /** @param longestMs a longer pause is too long */
  constructor(active: boolean, longestMs: number) {
    this.#active = active;
    this.#longestMs = longestMs;
  }

  get active(): boolean {
    return this.#active;
  }

  /** It is to stand still, or to go on, from what comes on the air now. */
  set(active: boolean): void {
    this.#active = active;
  }

  /** @param anew false: it stood still already, and the pause goes on */
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

  /** Whether the source is worth keeping open: a live one goes on without us. */
  holdsSource(nowMs: number, live: boolean): boolean {
    return nowMs - this.#sinceMs <= (live ? 0 : LONGEST_HELD_MS);
  }
}
