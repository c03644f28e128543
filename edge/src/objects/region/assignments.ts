/** Records that a task was given, or is about to be given, to a worker. Times are Unix ms. */
export interface Assignment {
  readonly taskId: string;
  readonly attempt: number;
  readonly workerId: string;
  /** The id of the worker's process. */
  readonly instanceId: string;
  /** Units that are reserved until the worker's reported load includes the task. */
  readonly units: number;
  /**
   * Units that stay reserved after the worker has reported the task, until the worker has opened the source. They make
   * up the difference between the cost by an earlier attempt's plan and the lower cost that the worker counts for an
   * unknown source.
   */
  readonly openingUnits: number;
  readonly sinceMs: number;
  readonly dispatched: boolean;
  /** True if the worker has reported the task. */
  readonly confirmed: boolean;
  /** The time at which the task is released unless the worker reports it; null if the worker has reported it. */
  readonly releaseAtMs: number | null;
}

type Row = {
  task_id: string;
  attempt: number;
  worker_id: string;
  instance_id: string;
  units: number;
  opening_units: number;
  since_ms: number;
  dispatched: number;
  confirmed: number;
  release_at_ms: number | null;
};

/** The number of ended assignments that are remembered, in memory only. */
const MAX_PAST = 5000;

/** The assignments of tasks to workers. They are stored in SQLite, with a copy in memory. */
export class Assignments {
  readonly #sql: SqlStorage;
  readonly #byTask = new Map<string, Assignment>();
  /** Keys of ended assignments, oldest first. */
  readonly #past = new Set<string>();
  readonly #reserved = new Map<string, number>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    for (const row of sql.exec<Row>("SELECT * FROM assignment")) this.#remember(fromRow(row));
  }

  get(taskId: string): Assignment | undefined {
    return this.#byTask.get(taskId);
  }

  /** Returns the task's assignment if it is this attempt on this worker. */
  match(taskId: string, attempt: number, workerId: string): Assignment | undefined {
    const found = this.#byTask.get(taskId);
    return found?.attempt === attempt && found.workerId === workerId ? found : undefined;
  }

  /**
   * Returns true if this worker has this attempt, or had it recently. Returns false for an attempt that the worker made
   * up.
   */
  hasGiven(taskId: string, attempt: number, workerId: string): boolean {
    return (
      this.match(taskId, attempt, workerId) !== undefined || this.#past.has(pastKey({ taskId, attempt, workerId }))
    );
  }

  /** Returns a copy of the list, so that assignments may be changed during the iteration. */
  all(): Assignment[] {
    return [...this.#byTask.values()];
  }

  ofWorker(workerId: string): Assignment[] {
    return this.all().filter((assignment) => assignment.workerId === workerId);
  }

  /** Returns the units that are reserved on a worker beside its reported load. */
  reservedUnits(workerId: string): number {
    return this.#reserved.get(workerId) ?? 0;
  }

  put(assignment: Assignment): void {
    this.#forget(assignment.taskId);
    this.#remember(assignment);
    this.#sql.exec(
      `INSERT OR REPLACE INTO assignment
         (task_id, attempt, worker_id, instance_id, units, since_ms, dispatched, confirmed, release_at_ms, opening_units)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      assignment.taskId,
      assignment.attempt,
      assignment.workerId,
      assignment.instanceId,
      assignment.units,
      assignment.sinceMs,
      Number(assignment.dispatched),
      Number(assignment.confirmed),
      assignment.releaseAtMs,
      assignment.openingUnits,
    );
  }

  /**
   * Removes the task's assignment to any worker, if it is of this attempt or an older one. Returns false if there is no
   * such assignment.
   */
  remove(taskId: string, attempt: number): boolean {
    const found = this.#byTask.get(taskId);
    if (found === undefined || found.attempt > attempt) return false;
    return this.#remove(taskId);
  }

  /** Removes the assignment at a worker's request. A worker cannot end an assignment of another worker. */
  removeOf(workerId: string, taskId: string, attempt: number): boolean {
    const found = this.#byTask.get(taskId);
    if (found === undefined || found.workerId !== workerId || found.attempt > attempt) return false;
    return this.#remove(taskId);
  }

  #remove(taskId: string): true {
    this.#forget(taskId);
    this.#sql.exec("DELETE FROM assignment WHERE task_id = ?", taskId);
    return true;
  }

  #remember(assignment: Assignment): void {
    this.#byTask.set(assignment.taskId, assignment);
    this.#reserve(assignment, 1);
  }

  #forget(taskId: string): void {
    const known = this.#byTask.get(taskId);
    if (known === undefined) return;
    this.#byTask.delete(taskId);
    this.#reserve(known, -1);
    this.#past.add(pastKey(known));
    const [oldest] = this.#past;
    if (this.#past.size > MAX_PAST && oldest !== undefined) this.#past.delete(oldest);
  }

  #reserve({ workerId, units, openingUnits, confirmed }: Assignment, sign: 1 | -1): void {
    const reserved = this.reservedUnits(workerId) + sign * (confirmed ? openingUnits : units);
    // Adding and subtracting fractions leaves a rounding error, so a very small rest counts as 0.
    if (reserved < 1e-6) this.#reserved.delete(workerId);
    else this.#reserved.set(workerId, reserved);
  }
}

function pastKey({ taskId, attempt, workerId }: Pick<Assignment, "taskId" | "attempt" | "workerId">): string {
  return `${taskId} ${attempt} ${workerId}`;
}

function fromRow(row: Row): Assignment {
  return {
    taskId: row.task_id,
    attempt: row.attempt,
    workerId: row.worker_id,
    instanceId: row.instance_id,
    units: row.units,
    openingUnits: row.opening_units,
    sinceMs: row.since_ms,
    dispatched: row.dispatched === 1,
    confirmed: row.confirmed === 1,
    releaseAtMs: row.release_at_ms,
  };
}
