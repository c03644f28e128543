/** What placing needs to know of a connected worker. */
export interface Candidate {
  readonly workerId: string;
  /** See `taskCost`. */
  readonly capacityUnits: number;
  /** What it carries and what is reserved on it. */
  readonly usedUnits: number;
  readonly draining: boolean;
}

export interface Wanted {
  readonly units: number;
  /** Nobody else will do, and its load does not matter: the task takes over what another one costs it. */
  readonly onlyWorkerId: string | null;
  /** Taken only if no other has room. */
  readonly avoidWorkerId: string | null;
}

/**
 * Chooses a worker: of two random ones that have room, the less loaded (M. Mitzenmacher, "The Power of Two Choices in
 * Randomized Load Balancing"). Pure but for `random`, which gives numbers from 0 to below 1. Null: none has room.
 */
export function place(workers: readonly Candidate[], wanted: Wanted, random: () => number): string | null {
  if (wanted.onlyWorkerId !== null) {
    return workers.find(({ workerId, draining }) => workerId === wanted.onlyWorkerId && !draining)?.workerId ?? null;
  }
  const fitting = workers.filter(
    (worker) => !worker.draining && worker.capacityUnits - worker.usedUnits >= wanted.units,
  );
  const others = fitting.filter(({ workerId }) => workerId !== wanted.avoidWorkerId);
  const pool = others.length > 0 ? others : fitting;
  const first = Math.floor(random() * pool.length);
  // Another one than the first: a number of steps onward, from 1 to all but one.
  const second = (first + 1 + Math.floor(random() * (pool.length - 1))) % pool.length;
  const [a, b] = [pool[first], pool[second]];
  if (a === undefined || b === undefined) return null;
  return load(b) < load(a) ? b.workerId : a.workerId;
}

function load({ usedUnits, capacityUnits }: Candidate): number {
  return capacityUnits === 0 ? Number.POSITIVE_INFINITY : usedUnits / capacityUnits;
}
