/**
 * Interval at which every session checks its clock, ms: shorter than a frame at 30 fps, and long enough to be cheap.
 */
export const TICK_MS = 20;

type Listener = (nowMs: number) => void;

/**
 * The pacing timer that all sessions of the process share, so that thirty streams cost one wake-up instead of thirty.
 * The timer runs only while it has listeners.
 */
export class Ticker {
  readonly #listeners = new Set<Listener>();
  #timer: NodeJS.Timeout | undefined;
  #dueMs = 0;

  /** @returns a function that removes the listener */
  add(listener: Listener): () => void {
    this.#listeners.add(listener);
    if (this.#timer === undefined) {
      this.#dueMs = performance.now();
      this.#schedule();
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) {
        clearTimeout(this.#timer);
        this.#timer = undefined;
      }
    };
  }

  #schedule(): void {
    const nowMs = performance.now();
    // Ticks keep to a fixed grid, so a late tick does not delay the later ones. After a very late tick (a suspended
    // laptop), the grid starts again from now.
    this.#dueMs = Math.max(this.#dueMs + TICK_MS, nowMs - TICK_MS);
    this.#timer = setTimeout(() => this.#tick(), Math.max(0, this.#dueMs - nowMs));
  }

  #tick(): void {
    this.#schedule();
    const nowMs = performance.now();
    for (const listener of this.#listeners) listener(nowMs);
  }
}

export const processTicker = new Ticker();
