const REMEMBERED_MS = 10 * 60_000;
/** Far more servers than a worker publishes to. */
const MAX_SERVERS = 100;

/** Which servers take one command at a time only, for ten minutes each. */
export class PipelineMemory {
  readonly #now: () => number;
  readonly #untilMs = new Map<string, number>();

  /** @param now ms, on any clock that does not go back. */
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
