import type { TaskRef } from "@roomcast/shared";

interface Waiting {
  readonly ref: TaskRef;
  readonly confirmed: PromiseWithResolvers<void>;
  /** When the edge was first asked over this socket, on the monotonic clock; undefined: it was not yet. */
  askedAtMs: number | undefined;
}

/** Attempts that may enter their room again only when the edge has confirmed them. */
export class Confirmations {
  readonly #waiting = new Set<Waiting>();
  /** Called when somebody begins to wait. One listener: the link. */
  onWaiting: ((ref: TaskRef) => void) | undefined;

  /** Whose confirmation is waited for. */
  get waiting(): readonly TaskRef[] {
    return [...this.#waiting].map(({ ref }) => ref);
  }

  /** Resolves when the edge has confirmed, after this call, that the attempt holds its task; rejects by the signal. */
  async until(ref: TaskRef, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const waiting: Waiting = { ref, confirmed: Promise.withResolvers(), askedAtMs: undefined };
    const onAbort = (): void => waiting.confirmed.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiting.add(waiting);
    try {
      this.onWaiting?.(ref);
      await waiting.confirmed.promise;
    } finally {
      this.#waiting.delete(waiting);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** The edge is being asked. */
  asked(ref: TaskRef, nowMs: number): void {
    for (const waiting of this.#of(ref)) waiting.askedAtMs ??= nowMs;
  }

  /** What was asked over another socket is not answered over this one. */
  askAnew(): void {
    for (const waiting of this.#waiting) waiting.askedAtMs = undefined;
  }

  /**
   * The edge has confirmed. An answer that is older than `maxAgeMs` says nothing: a process that was frozen reads it
   * when the edge may have given the task to somebody else.
   */
  confirm(ref: TaskRef, nowMs: number, maxAgeMs: number): void {
    for (const waiting of this.#of(ref)) {
      if (waiting.askedAtMs === undefined) continue;
      if (nowMs - waiting.askedAtMs <= maxAgeMs) waiting.confirmed.resolve();
      else waiting.askedAtMs = undefined;
    }
  }

  #of(ref: TaskRef): Waiting[] {
    return [...this.#waiting].filter(
      (waiting) => waiting.ref.taskId === ref.taskId && waiting.ref.attempt === ref.attempt,
    );
  }
}
