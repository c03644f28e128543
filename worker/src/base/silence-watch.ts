/** Finds the silences that no socket reports: a source that hangs, a room that stops reading. Pure. */
export class SilenceWatch {
  readonly #limitMs: number;
  #heardMs: number;

  constructor(nowMs: number, limitMs: number) {
    this.#limitMs = limitMs;
    this.#heardMs = nowMs;
  }

  /** @returns whether it has been silent for longer than the limit */
  look(nowMs: number, heard: boolean): boolean {
    if (heard) this.#heardMs = nowMs;
    return nowMs - this.#heardMs > this.#limitMs;
  }
}
