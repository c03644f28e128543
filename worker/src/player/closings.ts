/** Closings that nobody waits for when they begin, and that must be over before their owner is. */
export class Closings {
  readonly #running = new Set<Promise<void>>();

  add(closing: Promise<void>): void {
    const tracked = closing.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }

  async ended(): Promise<void> {
    await Promise.all(this.#running);
  }
}
