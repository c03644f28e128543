import type { Config } from "../../base/config.ts";
import type { DirectoryObject } from "../../contracts/directory-object.ts";
import type { Env } from "../../contracts/env.ts";
import type { RegionObject } from "../../contracts/region-object.ts";
import type { AttemptRef, WorkerAnswer, WorkerEvent } from "../../contracts/task-object.ts";
import type { ControlEvent } from "./control-event.ts";
import type { KnownOfAttempt, TaskRecord } from "./task-record.ts";

/**
 * The interface that a Task object offers to its parts. The parts read the record, and change it only with events,
 * because only the object may write to the storage.
 */
export interface TaskContext {
  readonly env: Env;
  /** The current record, which may be another one after every `await`. Undefined if the task does not exist. */
  readonly record: TaskRecord | undefined;
  readonly config: Config;
  /**
   * The number of wake-ups so far. A part compares it before and after it looks for a worker, so that no wake-up is
   * missed meanwhile.
   */
  readonly wakes: number;
  /**
   * Applies an event, stores the next record and performs the effects.
   *
   * @returns false if the event changed nothing, because the task has ended or moved on
   */
  apply(event: ControlEvent): Promise<boolean>;
  /** Applies an event of an attempt, which comes from its worker or from the edge in the worker's place. */
  applyOfWorker(ref: AttemptRef, event: WorkerEvent): Promise<WorkerAnswer>;
  /** Runs a job that reads the request, after the earlier jobs of this kind have ended. */
  inTurn(job: () => Promise<void>): Promise<void>;
  /** Deletes everything that is stored of the task. */
  delete(): Promise<void>;
  /** Logs that another object did not answer. */
  failed(message: string, thrown: unknown): undefined;
}

/** Returns the object of the region that the task is in. */
export function regionOf({ env }: Pick<TaskContext, "env">, record: TaskRecord): DurableObjectStub<RegionObject> {
  return env.REGION.getByName(record.region);
}

/** Returns the directory of the task's application. */
export function directoryOf({ env }: Pick<TaskContext, "env">, record: TaskRecord): DurableObjectStub<DirectoryObject> {
  return env.DIRECTORY.getByName(String(record.request.SdkAppId));
}

/**
 * Returns the progress and plan in the newest report of the task's attempt that its region knows. Both are null if the
 * region knows no report or did not answer.
 */
export async function newestReport(task: TaskContext, record: TaskRecord): Promise<KnownOfAttempt> {
  const { attempt } = record.state;
  const known = await regionOf(task, record)
    .newestReport(record.taskId, attempt)
    .catch((thrown: unknown) => task.failed("newest report not read", thrown));
  return { attempt, progress: known?.progress ?? null, plan: known?.plan ?? null };
}
