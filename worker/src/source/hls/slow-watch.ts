const KEPT = 2;
const MIN_MEDIA_MS = 6000;
/** A source is slow if its last segment alone took more than this many times its duration. */
const HOPELESS = 3;

export interface Transferred {
  /** The time spent waiting for the network, ms. */
  readonly waitedMs: number;
  readonly bytes: number;
  /** The duration of the media, ms. */
  readonly mediaMs: number;
}

/** Detects a source that delivers its segments more slowly than they play. */
export class SlowWatch {
  #recent: Transferred[] = [];

  add(transferred: Transferred): void {
    this.#recent.push(transferred);
    if (this.#recent.length > KEPT) this.#recent.shift();
  }

  reset(): void {
    this.#recent = [];
  }

  get isSlow(): boolean {
    const last = this.#recent.at(-1);
    if (last === undefined || last.mediaMs === 0) return false;
    if (last.waitedMs > HOPELESS * last.mediaMs) return true;
    // One late segment is not enough. If the last segment arrived in time, the source is not slow either.
    return (
      this.#recent.length === KEPT &&
      this.#recent.every(({ waitedMs, mediaMs }) => waitedMs > mediaMs) &&
      this.#sum(({ mediaMs }) => mediaMs) >= MIN_MEDIA_MS
    );
  }

  /** The measured bit rate, or null if nothing was measured. */
  get bitsPerSecond(): number | null {
    const waitedMs = this.#sum((one) => one.waitedMs);
    return waitedMs <= 0 ? null : (this.#sum(({ bytes }) => bytes) * 8000) / waitedMs;
  }

  #sum(of: (one: Transferred) => number): number {
    return this.#recent.reduce((total, one) => total + of(one), 0);
  }
}
