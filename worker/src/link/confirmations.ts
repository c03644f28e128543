import type { TaskRef } from "@roomcast/shared";

/** The edge's word that an attempt holds its task. */
export interface Confirmation {
  /**
   * Whether it still counts: said over the socket that is there now, and not so long ago that the edge may have given
   * the task to somebody else since.
   */
  holds(): boolean;
}

interface Waiting {
  readonly ref: TaskRef;
  readonly confirmed: PromiseWithResolvers<Confirmation>;
  /** When the edge was first asked over this socket, on the monotonic clock; undefined: it was not yet. */
  askedAtMs: number | undefined;
}

/** Attempts that may publish only when the edge has confirmed them. */
export class Confirmations {
  readonly #waiting = new Set<Waiting>();
  readonly #now: () => number;
  /** Of the link's sockets so far. */
  #socketsLost = 0;
  /** Called when somebody begins to wait. One listener: the link. */
  onWaiting: ((ref: TaskRef) => void) | undefined;

  /** @param now the monotonic clock, ms */
  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  /** Whose confirmation is waited for. */
  get waiting(): readonly TaskRef[] {
    return [...this.#waiting].map(({ ref }) => ref);
  }

  /** Resolves when the edge has confirmed, after this call, that the attempt holds its task; rejects by the signal. */
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

  /** The edge is being asked. */
  asked(ref: TaskRef): void {
    const nowMs = this.#now();
    for (const waiting of this.#of(ref)) waiting.askedAtMs ??= nowMs;
  }

  /** What was asked over this socket is not answered over the next one, and what was said over it counts no more. */
  socketLost(): void {
    this.#socketsLost += 1;
    for (const waiting of this.#waiting) waiting.askedAtMs = undefined;
  }

  /**
   * The edge has confirmed. An answer that is older than `maxAgeMs` says nothing: a process that was frozen reads it
   * when the edge may have given the task to somebody else.
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
