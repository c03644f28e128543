import { smoothed } from "@roomcast/shared";

/** The estimated load of a worker (reported and reserved units) and its capacity. */
export interface Estimate {
  readonly workerId: string;
  readonly usedUnits: number;
  readonly capacityUnits: number;
}

interface Entry {
  /** The CPU share that the worker has reported. The worker has smoothed it. */
  readonly cpu: number;
  readonly atMs: number;
  /** The estimated load at `atMs`, as a share of the capacity. */
  readonly estimated: number;
  /**
   * The estimated load, smoothed in the way in which the worker smooths its CPU share. It is the part of `cpu` that the
   * estimates explain.
   */
  readonly explained: number;
}

/**
 * The CPU loads that workers report. They are in memory only, because each worker soon reports a new one. After a
 * restart of the edge, only the estimates are used until the workers have reported. A load is valid for `holdsMs`.
 * Times are Unix ms.
 */
export class MeasuredLoads {
  readonly #entries = new Map<string, Entry>();
  readonly #holdsMs: () => number;

  constructor(holdsMs: () => number) {
    this.#holdsMs = holdsMs;
  }

  note(worker: Estimate, cpu: number, atMs: number): void {
    const estimated = share(worker);
    const before = this.#newest(worker.workerId, atMs);
    // Units that were reserved since the previous report count as not measured yet, because a task takes time to begin.
    const explained =
      before === undefined ? estimated : smoothed(before.explained, before.estimated, atMs - before.atMs);
    this.#entries.set(worker.workerId, { cpu, atMs, estimated, explained });
  }

  /** Returns the last reported CPU share; null if there is no recent one. */
  said(workerId: string, nowMs: number): number | null {
    return this.#newest(workerId, nowMs)?.cpu ?? null;
  }

  /**
   * Returns the CPU share that the worker would measure with its present tasks. Tasks that were added or have ended
   * since its report count with their estimates, so that a burst of tasks does not all go to the worker that was idle a
   * second ago. The result may exceed 1. Returns null if the worker has not reported recently.
   */
  expected(worker: Estimate, nowMs: number): number | null {
    const entry = this.#newest(worker.workerId, nowMs);
    return entry === undefined ? null : Math.max(0, entry.cpu + share(worker) - entry.explained);
  }

  forget(workerId: string): void {
    this.#entries.delete(workerId);
  }

  #newest(workerId: string, nowMs: number): Entry | undefined {
    const entry = this.#entries.get(workerId);
    return entry !== undefined && nowMs - entry.atMs < this.#holdsMs() ? entry : undefined;
  }
}

function share({ usedUnits, capacityUnits }: Estimate): number {
  return capacityUnits === 0 ? 0 : usedUnits / capacityUnits;
}
