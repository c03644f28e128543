import type { WantedWorker } from "../../contracts/region-object.ts";
/** What placing needs to know of a connected worker. */
export interface Candidate {
  readonly workerId: string;
  /** See `taskCost`. */
  readonly capacityUnits: number;
  /** Its reported load and what is reserved on it. */
  readonly usedUnits: number;
  /** The expected load of its CPU (see `MeasuredLoads`); null if it is not known. */
  readonly cpuLoad: number | null;
  /** True if its CPU is so busy that it is taken only if no other worker has room. */
  readonly busy: boolean;
  readonly draining: boolean;
}

/** Measured loads that differ by less count as equal. Then the estimates decide, so that a burst does not follow noise. */
const ALIKE = 0.05;

/**
 * Chooses a worker: of two random ones that have room, the less loaded (M. Mitzenmacher, "The Power of Two Choices in
 * Randomized Load Balancing"). Pure except for `random`, which returns numbers from 0 to below 1. Returns null if none has room.
 *
 * Units alone decide if there is room. A busy CPU only puts a worker behind the others. If it excluded the worker, another
 * process on its machine could starve a region, and the measurement is a few seconds old while tasks wait.
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

/** Returns the workers that fit; all of them if none does. */
function ratherThose(workers: readonly Candidate[], fits: (worker: Candidate) => boolean): readonly Candidate[] {
  const some = workers.filter(fits);
  return some.length > 0 ? some : workers;
}

/** Returns the less loaded worker; the first if they are equal. */
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
