/** The lowest rate at which a body must arrive while a reader waits for it. */
export interface FlowFloor {
  readonly bytesPerSecond: number;
  /** The length of the measurement window, ms. */
  readonly windowMs: number;
}

/**
 * The default floor. No media has a lower rate, so a slower connection counts as hanging, even if a byte arrives
 * regularly.
 */
const DEFAULT_FLOOR: FlowFloor = { bytesPerSecond: 1024, windowMs: 30_000 };

/** Thrown if a body arrived more slowly than the floor for a whole window. */
export class StalledError extends Error {
  override readonly name = "StalledError";
}

/**
 * Measures how fast a body arrives, over all its connections. Time in which no reader waits for bytes does not count.
 */
export class FlowWatch {
  readonly #floor: FlowFloor;
  readonly #now: () => number;
  #window = { waitedMs: 0, bytes: 0 };
  #waitedSinceFailureMs = 0;

  constructor(floor: FlowFloor = DEFAULT_FLOOR, now: () => number = () => performance.now()) {
    this.#floor = floor;
    this.#now = now;
  }

  /**
   * Reads the next chunk.
   *
   * @throws StalledError if less than the floor arrived in a whole window; the read is then still pending
   */
  async next(chunks: AsyncIterator<Buffer>): Promise<IteratorResult<Buffer>> {
    let sinceMs = this.#now();
    const reading = chunks.next();
    // After a stall nobody awaits this read, so its failure must not become an unhandled rejection.
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

  /** Adds waiting time. Callers add the waits that `next` does not see, such as for a new connection. */
  waited(ms: number): void {
    this.#window.waitedMs += ms;
    this.#waitedSinceFailureMs += ms;
  }

  /**
   * Records a failure.
   *
   * @param gainedBytes the bytes that reached the reader since the previous failure
   * @returns true if these bytes are above the floor for the time that was spent waiting
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

/** Resolves to undefined if the work takes longer than the bound. */
async function withinMs<Value>(work: Promise<Value>, boundMs: number): Promise<Value | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), boundMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
