import { smoothed } from "@roomcast/shared";

/** The estimated load of a worker (reported and reserved units) and its capacity. */
export interface Estimate {
  readonly workerId: string;
  readonly usedUnits: number;
  readonly capacityUnits: number;
}

interface Entry {
  /** As the worker has said it: smoothed. */
  readonly cpu: number;
  readonly atMs: number;
  /** What the estimates said then, as a share of the capacity. */
  readonly estimated: number;
  /** The same, smoothed as the worker smooths: what of `cpu` the estimates can explain. */
  readonly explained: number;
}

/**
 * How busy workers say that their CPUs are, in memory only: the next second brings it again. After a restart of the
 * edge there is nothing until then, and the estimates stand alone. A figure counts for `holdsMs`. Times are Unix ms.
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
    // What has been reserved since the report before counts as not measured yet: a task takes time to begin.
    const explained =
      before === undefined ? estimated : smoothed(before.explained, before.estimated, atMs - before.atMs);
    this.#entries.set(worker.workerId, { cpu, atMs, estimated, explained });
  }

  /** As the worker said it last; null: not lately. */
  said(workerId: string, nowMs: number): number | null {
    return this.#newest(workerId, nowMs)?.cpu ?? null;
  }

  /**
   * What the worker would measure if it had measured what is on it now: what was reserved or ended since counts as
   * estimated. So a burst of tasks does not all go to the worker that was idle a second ago. It may be over 1. Null: the
   * worker has not said anything lately.
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
