const REMEMBERED_MS = 10 * 60_000;
/** The largest number of remembered servers, which is far more than a worker publishes to. */
const MAX_SERVERS = 100;

/** Remembers for ten minutes which servers accept only one command at a time. */
export class PipelineMemory {
  readonly #now: () => number;
  readonly #untilMs = new Map<string, number>();

  /** @param now returns the time of a monotonic clock, ms */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** @param server `host:port`. */
  takesOneAtATime(server: string): boolean {
    return (this.#untilMs.get(server) ?? 0) > this.#now();
  }

  remember(server: string): void {
    if (this.#untilMs.size >= MAX_SERVERS) this.#untilMs.clear();
    this.#untilMs.set(server, this.#now() + REMEMBERED_MS);
  }
}
