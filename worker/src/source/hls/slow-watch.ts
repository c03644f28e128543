const KEPT = 2;
const MIN_MEDIA_MS = 6000;
/** One segment that takes this many times as long as it plays is enough. */
const HOPELESS = 3;

export interface Transferred {
  /** How long the network let us wait, ms. */
  readonly waitedMs: number;
  readonly bytes: number;
  /** How long the media play, ms. */
  readonly mediaMs: number;
}

/** Tells whether a source delivers its media more slowly than they play. */
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
    // A single late segment is no reason, and neither is a source that has come well again.
    return (
      this.#recent.length === KEPT &&
      this.#recent.every(({ waitedMs, mediaMs }) => waitedMs > mediaMs) &&
      this.#sum(({ mediaMs }) => mediaMs) >= MIN_MEDIA_MS
    );
  }

  /** null: not measured. */
  get bitsPerSecond(): number | null {
    const waitedMs = this.#sum((one) => one.waitedMs);
    return waitedMs <= 0 ? null : (this.#sum(({ bytes }) => bytes) * 8000) / waitedMs;
  }

  #sum(of: (one: Transferred) => number): number {
    return this.#recent.reduce((total, one) => total + of(one), 0);
  }
}
