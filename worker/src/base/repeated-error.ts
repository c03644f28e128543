import type { Logger } from "pino";

/** Logs a recurring error once, and the number of its occurrences once it is over. */
export class RepeatedError {
  readonly #log: Logger;
  readonly #messages: { readonly first: string; readonly over: string };
  #count = 0;

  constructor(log: Logger, messages: { readonly first: string; readonly over: string }) {
    this.#log = log;
    this.#messages = messages;
  }

  get count(): number {
    return this.#count;
  }

  happened(thrown: unknown): void {
    this.#count += 1;
    if (this.#count === 1) this.#log.warn({ err: thrown }, this.#messages.first);
  }

  over(): void {
    if (this.#count > 0) this.#log.info({ times: this.#count }, this.#messages.over);
    this.#count = 0;
  }
}
