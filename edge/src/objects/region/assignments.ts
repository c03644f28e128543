/** That a task was given, or is about to be given, to a worker. Times are Unix ms. */
export interface Assignment {
  readonly taskId: string;
  readonly attempt: number;
  readonly workerId: string;
  /** The worker's process. */
  readonly instanceId: string;
  /** Reserved until the worker's reported load includes the task. */
  readonly units: number;
  /**
   * Reserved after that until the worker has opened the source: by how much an earlier attempt's plan costs more than
   * what the worker counts for a source that it does not know yet.
   */
  readonly openingUnits: number;
  readonly sinceMs: number;
  readonly dispatched: boolean;
  /** Whether the worker has reported the task. */
  readonly confirmed: boolean;
  /** When the task is taken away from the worker unless it shows up with it; null: it is there. */
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

/** Assignments that have ended and are still remembered, in memory only. */
const MAX_PAST = 5000;

/** Which task is on which worker: in SQLite, with a copy in memory. */
export class Assignments {
  readonly #sql: SqlStorage;
  readonly #byTask = new Map<string, Assignment>();
  /** The oldest first. */
  readonly #past = new Set<string>();
  readonly #reserved = new Map<string, number>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    for (const row of sql.exec<Row>("SELECT * FROM assignment")) this.#remember(fromRow(row));
  }

  get(taskId: string): Assignment | undefined {
    return this.#byTask.get(taskId);
  }

  /** The task's assignment if it is this attempt on this worker. */
  match(taskId: string, attempt: number, workerId: string): Assignment | undefined {
    const found = this.#byTask.get(taskId);
    return found?.attempt === attempt && found.workerId === workerId ? found : undefined;
  }

  /** Whether this worker has this attempt, or had it a short while ago. False for what a worker makes up. */
  hasGiven(taskId: string, attempt: number, workerId: string): boolean {
    return (
      this.match(taskId, attempt, workerId) !== undefined || this.#past.has(pastKey({ taskId, attempt, workerId }))
    );
  }

  /** As they are now; they may be changed while the caller goes through them. */
  all(): Assignment[] {
    return [...this.#byTask.values()];
  }

  ofWorker(workerId: string): Assignment[] {
    return this.all().filter((assignment) => assignment.workerId === workerId);
  }

  /** Units that are held on a worker beside its reported load. */
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

  /** Forgets the task's assignment, to whichever worker, if it is of this attempt or an older one. */
  remove(taskId: string, attempt: number): boolean {
    const found = this.#byTask.get(taskId);
    if (found === undefined || found.attempt > attempt) return false;
    return this.#remove(taskId);
  }

  /** The same for a worker's word: what is another worker's is not his to end. */
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
    // What is left after adding and taking away fractions is dust.
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
