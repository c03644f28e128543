/** The least that must come while somebody waits for it. */
export interface FlowFloor {
  readonly bytesPerSecond: number;
  /** Over which time it is measured, ms. */
  readonly windowMs: number;
}

/** Less than any media is a connection that hangs, however regularly it gives a byte. */
const DEFAULT_FLOOR: FlowFloor = { bytesPerSecond: 1024, windowMs: 30_000 };

/** What came was too little for too long. */
export class StalledError extends Error {
  override readonly name = "StalledError";
}

/** Measures how fast a body comes, over all its connections. Time in which nobody waits for bytes does not count. */
export class FlowWatch {
  readonly #floor: FlowFloor;
  readonly #now: () => number;
  #window = { waitedMs: 0, bytes: 0 };
  #waitedSinceFailureMs = 0;

  constructor(floor: FlowFloor = DEFAULT_FLOOR, now: () => number = () => performance.now()) {
    this.#floor = floor;
    this.#now = now;
  }

  /** @throws StalledError where less than the floor came in a whole window; the read is then still under way */
  async next(chunks: AsyncIterator<Buffer>): Promise<IteratorResult<Buffer>> {
    let sinceMs = this.#now();
    const reading = chunks.next();
    // Its failure after a stall is of no interest.
    reading.catch(() => {});
    for (;;) {
      const leftMs = Math.max(0, this.#floor.windowMs - this.#window.waitedMs);
      const result = await withinMs(reading, leftMs);
      const nowMs = this.#now();
      this.waited(result === undefined ? Math.max(leftMs, nowMs - sinceMs) : nowMs - sinceMs);
      sinceMs = nowMs;
      if (result !== undefined && result.done !== true) this.#window.bytes += result.value.length;
      if (this.#window.waitedMs >= this.#floor.windowMs) {
        const slow = !this.#aboveFloor(this.#window);
        this.#window = { waitedMs: 0, bytes: 0 };
        if (slow && result?.done !== true) throw new StalledError();
      }
      if (result !== undefined) return result;
    }
  }

  /** Time spent on connections counts as waiting too. */
  waited(ms: number): void {
    this.#window.waitedMs += ms;
    this.#waitedSinceFailureMs += ms;
  }

  /**
   * Takes note of a failure.
   *
   * @param gainedBytes what could be given on since the one before
   * @returns whether that was enough for the time it took
   */
  failed(gainedBytes: number): boolean {
    const healthy = gainedBytes > 0 && this.#aboveFloor({ bytes: gainedBytes, waitedMs: this.#waitedSinceFailureMs });
    this.#waitedSinceFailureMs = 0;
    this.#window = { waitedMs: 0, bytes: 0 };
    return healthy;
  }

  #aboveFloor({ waitedMs, bytes }: { readonly waitedMs: number; readonly bytes: number }): boolean {
    return bytes * 1000 >= this.#floor.bytesPerSecond * waitedMs;
  }
}

/** undefined: not in time. */
async function withinMs<Value>(work: Promise<Value>, boundMs: number): Promise<Value | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), boundMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
