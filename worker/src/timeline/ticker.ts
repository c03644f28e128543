/** How often every session looks at its clock, ms: under one frame of 30 a second, and rare enough to be cheap. */
export const TICK_MS = 20;

type Listener = (nowMs: number) => void;

/**
 * The one pacing timer of the process: all sessions are moved in one turn, so that thirty streams cost one wake-up and
 * not thirty. Runs only while somebody listens.
 */
export class Ticker {
  readonly #listeners = new Set<Listener>();
  #timer: NodeJS.Timeout | undefined;
  #dueMs = 0;

  /** @returns a function that takes the listener away again */
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
    // Keeps to a grid; a late turn does not push all later ones back, a very late one (a suspended laptop) starts anew.
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
