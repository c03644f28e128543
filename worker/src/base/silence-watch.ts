/** Detects silences that no socket reports: a source that hangs, or a room that stops reading. Pure. */
export class SilenceWatch {
  readonly #limitMs: number;
  #heardMs: number;

  constructor(nowMs: number, limitMs: number) {
    this.#limitMs = limitMs;
    this.#heardMs = nowMs;
  }

  /** @returns true if the silence is longer than the limit */
  look(nowMs: number, heard: boolean): boolean {
    if (heard) this.#heardMs = nowMs;
    return nowMs - this.#heardMs > this.#limitMs;
  }
}
