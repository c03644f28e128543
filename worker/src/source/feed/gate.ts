/** Lets callers pass while it is open and makes them wait while it is closed. */
export class Gate {
  #closed: PromiseWithResolvers<void> | undefined;

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  close(): void {
    this.#closed ??= Promise.withResolvers();
  }

  open(): void {
    this.#closed?.resolve();
    this.#closed = undefined;
  }

  async pass(): Promise<void> {
    while (this.#closed !== undefined) await this.#closed.promise;
  }
}
