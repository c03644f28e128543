import type { WantedWorker } from "../../contracts/region-object.ts";

/** The data of a connected worker by which it is chosen for tasks. */
export interface Candidate {
  readonly workerId: string;
  /** The worker's capacity (see `taskCost`). */
  readonly capacityUnits: number;
  /** The worker's reported load plus the units that are reserved on it. */
  readonly usedUnits: number;
  /** The expected load of the worker's CPU (see `MeasuredLoads`); null if it is not known. */
  readonly cpuLoad: number | null;
  /** True if the worker's CPU is so busy that it is chosen only if no other worker has enough free units. */
  readonly busy: boolean;
  readonly draining: boolean;
}

/**
 * Loads that differ by less than this count as equal. The estimates then decide, so that a burst of tasks does not
 * follow the noise of the measurements.
 */
const ALIKE = 0.05;

/**
 * Chooses a worker: the less loaded of two random workers that have enough free units (M. Mitzenmacher, "The Power of
 * Two Choices in Randomized Load Balancing"). Pure except for `random`, which returns numbers from 0 to below 1.
 * Returns null if no worker has enough free units.
 *
 * A busy CPU does not exclude a worker, but only puts it behind the others. If it excluded the worker, another process
 * on the worker's machine could leave a region without workers, and tasks would wait because of a measurement that is a
 * few seconds old.
 */
export function chooseWorker(workers: readonly Candidate[], wanted: WantedWorker, random: () => number): string | null {
  if (wanted.onlyWorkerId !== null) {
    return workers.find(({ workerId, draining }) => workerId === wanted.onlyWorkerId && !draining)?.workerId ?? null;
  }
  const fitting = workers.filter(
    (worker) => !worker.draining && worker.capacityUnits - worker.usedUnits >= wanted.units,
  );
  const others = ratherThose(fitting, ({ workerId }) => workerId !== wanted.avoidWorkerId);
  // Busy workers are avoided also for tasks that may turn out to need little CPU because their source is copied. This
  // is not known before the worker has probed the source, and a CPU without a reserve is late with every stream.
  const pool = ratherThose(others, ({ busy }) => !busy);
  const first = Math.floor(random() * pool.length);
  // The second worker is a different one: it follows the first after 1 to `pool.length - 1` steps.
  const second = (first + 1 + Math.floor(random() * (pool.length - 1))) % pool.length;
  const [a, b] = [pool[first], pool[second]];
  if (a === undefined || b === undefined) return null;
  return lessLoaded(a, b).workerId;
}

/** Returns the workers that fit, or all workers if none of them fits. */
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

/**
 * Returns the larger of the estimated and the measured load. The estimate does not include other processes on the
 * machine, and the measurement does not include tasks that have yet to begin.
 */
function load(worker: Candidate): number {
  return Math.max(estimated(worker), worker.cpuLoad ?? 0);
}

function estimated({ usedUnits, capacityUnits }: Candidate): number {
  return capacityUnits === 0 ? Number.POSITIVE_INFINITY : usedUnits / capacityUnits;
}
