import { smoothed } from "@roomcast/shared";

/** The estimated load of a worker (reported and reserved units) and its capacity. */
export interface Estimate {
  readonly workerId: string;
  readonly usedUnits: number;
  readonly capacityUnits: number;
}

interface Entry {
  /** The CPU share as the worker reported it, smoothed. */
  readonly cpu: number;
  readonly atMs: number;
  /** The estimate at that time, as a share of the capacity. */
  readonly estimated: number;
  /** The estimate, smoothed as the worker smooths: the part of `cpu` that the estimates explain. */
  readonly explained: number;
}

/**
 * The CPU loads that workers report. They are in memory only, because the next second brings new ones. After a restart
 * of the edge there are none until then, and only the estimates are used. A figure is valid for `holdsMs`. Times are
 * Unix ms.
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
   * Returns what the worker would measure with its present tasks: tasks that were added or ended since its report count
   * as estimated. So a burst of tasks does not all go to the worker that was idle a second ago. The result may exceed
   * 1. Returns null if the worker has not reported recently.
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
