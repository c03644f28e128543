import type { WantedWorker } from "../../contracts/region-object.ts";
/** What placing needs to know of a connected worker. */
export interface Candidate {
  readonly workerId: string;
  /** See `taskCost`. */
  readonly capacityUnits: number;
  /** What it carries and what is reserved on it. */
  readonly usedUnits: number;
  /** How busy its CPU should be with that, as far as it has measured: see `MeasuredLoads`. Null: not known. */
  readonly cpuLoad: number | null;
  /** Taken only if no other has room: its CPU is busy. */
  readonly busy: boolean;
  readonly draining: boolean;
}

/** Measured loads that differ by less are alike; then the estimates decide, lest a burst follows a flicker. */
const ALIKE = 0.05;

/**
 * Chooses a worker: of two random ones that have room, the less loaded (M. Mitzenmacher, "The Power of Two Choices in
 * Randomized Load Balancing"). Pure but for `random`, which gives numbers from 0 to below 1. Null: none has room.
 *
 * Whether there is room is decided by units alone. A busy CPU only puts a worker behind the others: were it shut out, a
 * neighbour on its machine could starve a region, and what it measures is a few seconds old, while tasks wait.
 */
export function chooseWorker(workers: readonly Candidate[], wanted: WantedWorker, random: () => number): string | null {
  if (wanted.onlyWorkerId !== null) {
    return workers.find(({ workerId, draining }) => workerId === wanted.onlyWorkerId && !draining)?.workerId ?? null;
  }
  const fitting = workers.filter(
    (worker) => !worker.draining && worker.capacityUnits - worker.usedUnits >= wanted.units,
  );
  const others = ratherThose(fitting, ({ workerId }) => workerId !== wanted.avoidWorkerId);
  // Also for what may turn out to be a copy: nobody knows before the worker has probed the source, and a CPU without a
  // rest is late with every stream.
  const pool = ratherThose(others, ({ busy }) => !busy);
  const first = Math.floor(random() * pool.length);
  // Another one than the first: a number of steps onward, from 1 to all but one.
  const second = (first + 1 + Math.floor(random() * (pool.length - 1))) % pool.length;
  const [a, b] = [pool[first], pool[second]];
  if (a === undefined || b === undefined) return null;
  return lessLoaded(a, b).workerId;
}

/** Those that fit; all, where none does. */
function ratherThose(workers: readonly Candidate[], fits: (worker: Candidate) => boolean): readonly Candidate[] {
  const some = workers.filter(fits);
  return some.length > 0 ? some : workers;
}

/** The first, where they are equal. */
function lessLoaded(a: Candidate, b: Candidate): Candidate {
  const [ofA, ofB] = [load(a), load(b)];
  if (Math.abs(ofA - ofB) < ALIKE) return estimated(b) < estimated(a) ? b : a;
  return ofB < ofA ? b : a;
}

/** Estimates do not see a neighbour on the machine, measurements not what has yet to begin: the larger one counts. */
function load(worker: Candidate): number {
  return Math.max(estimated(worker), worker.cpuLoad ?? 0);
}

function estimated({ usedUnits, capacityUnits }: Candidate): number {
  return capacityUnits === 0 ? Number.POSITIVE_INFINITY : usedUnits / capacityUnits;
}
