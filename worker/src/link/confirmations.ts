import type { TaskRef } from "@roomcast/shared";

/** The edge's confirmation that an attempt holds its task. */
export interface Confirmation {
  /**
   * Returns true while the confirmation is valid. A valid confirmation came over the current socket, and so recently
   * that the edge cannot have given the task to another worker since.
   */
  holds(): boolean;
}

interface Waiting {
  readonly ref: TaskRef;
  readonly confirmed: PromiseWithResolvers<Confirmation>;
  /**
   * The time at which the edge was first asked over this socket, on the monotonic clock; undefined if it was not asked
   * yet.
   */
  askedAtMs: number | undefined;
}

/** The attempts that wait for the edge's confirmation, which they need before they publish. */
export class Confirmations {
  readonly #waiting = new Set<Waiting>();
  readonly #now: () => number;
  /** The number of sockets that the link has lost. It tells whether a confirmation came over the current socket. */
  #socketsLost = 0;
  /** Called when an attempt starts to wait. The link is the only listener. */
  onWaiting: ((ref: TaskRef) => void) | undefined;

  /** @param now the monotonic clock, ms */
  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  /** The attempts that wait for a confirmation. */
  get waiting(): readonly TaskRef[] {
    return [...this.#waiting].map(({ ref }) => ref);
  }

  /**
   * Resolves when the edge has confirmed, after this call, that the attempt holds its task; rejects when the signal
   * aborts.
   */
  async until(ref: TaskRef, signal: AbortSignal): Promise<Confirmation> {
    signal.throwIfAborted();
    const waiting: Waiting = { ref, confirmed: Promise.withResolvers(), askedAtMs: undefined };
    const onAbort = (): void => waiting.confirmed.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiting.add(waiting);
    try {
      this.onWaiting?.(ref);
      return await waiting.confirmed.promise;
    } finally {
      this.#waiting.delete(waiting);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Records that the edge is being asked now. */
  asked(ref: TaskRef): void {
    const nowMs = this.#now();
    for (const waiting of this.#of(ref)) waiting.askedAtMs ??= nowMs;
  }

  /** Forgets what was asked and confirmed over the old socket: a new socket must ask again. */
  socketLost(): void {
    this.#socketsLost += 1;
    for (const waiting of this.#waiting) waiting.askedAtMs = undefined;
  }

  /**
   * Records the edge's confirmation. The answer is ignored if the question is older than `maxAgeMs`: a process that was
   * frozen may read the answer after the edge has given the task to another worker.
   */
  confirm(ref: TaskRef, maxAgeMs: number): void {
    const socketsLost = this.#socketsLost;
    for (const waiting of this.#of(ref)) {
      const { askedAtMs } = waiting;
      if (askedAtMs === undefined) continue;
      const holds = () => socketsLost === this.#socketsLost && this.#now() - askedAtMs <= maxAgeMs;
      if (holds()) waiting.confirmed.resolve({ holds });
      else waiting.askedAtMs = undefined;
    }
  }

  #of(ref: TaskRef): Waiting[] {
    return [...this.#waiting].filter(
      (waiting) => waiting.ref.taskId === ref.taskId && waiting.ref.attempt === ref.attempt,
    );
  }
}
