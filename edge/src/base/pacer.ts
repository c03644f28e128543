/** Lets callers through one after another, with a gap in between. */
export class Pacer {
  readonly #gapMs: number;
  #next: Promise<void> = Promise.resolve();

  constructor(gapMs: number) {
    this.#gapMs = gapMs;
  }

  /** Resolves when it is the caller's turn. */
  turn(): Promise<void> {
    const turn = this.#next;
    this.#next = turn.then(() => scheduler.wait(this.#gapMs));
    return turn;
  }
}
