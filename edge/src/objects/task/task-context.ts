import type { Config } from "../../base/config.ts";
import type { DirectoryObject } from "../../contracts/directory-object.ts";
import type { Env } from "../../contracts/env.ts";
import type { RegionObject } from "../../contracts/region-object.ts";
import type { AttemptRef, WorkerAnswer, WorkerEvent } from "../../contracts/task-object.ts";
import type { ControlEvent } from "./control-event.ts";
import type { KnownOfAttempt, TaskRecord } from "./task-record.ts";

/**
 * What a Task object offers to its parts. They read the record and change it by events only: the object alone has the
 * storage that the record is written to.
 */
export interface TaskContext {
  readonly env: Env;
  /** The record as it is now; it may be another one after every `await`. Undefined if the task does not exist. */
  readonly record: TaskRecord | undefined;
  readonly config: Config;
  /** Grows with each wake-up, so that one which comes while the task looks for a worker is not missed. */
  readonly wakes: number;
  /**
   * Applies an event, writes the next record and carries its effects out.
   *
   * @returns false if the event changed nothing, because the task has ended or moved on
   */
  apply(event: ControlEvent): Promise<boolean>;
  /** The same for an event of a worker, or for what is known of its attempt without it. */
  applyOfWorker(ref: AttemptRef, event: WorkerEvent): Promise<WorkerAnswer>;
  /** Runs a job that reads the request after the ones before it. */
  inTurn(job: () => Promise<void>): Promise<void>;
  /** Deletes everything that is stored of the task. */
  delete(): Promise<void>;
  /** Logs that another object did not answer. */
  failed(message: string, thrown: unknown): undefined;
}

/** The region that a task is placed in. */
export function regionOf({ env }: Pick<TaskContext, "env">, record: TaskRecord): DurableObjectStub<RegionObject> {
  return env.REGION.getByName(record.region);
}

/** The directory of the task's application. */
export function directoryOf({ env }: Pick<TaskContext, "env">, record: TaskRecord): DurableObjectStub<DirectoryObject> {
  return env.DIRECTORY.getByName(String(record.request.SdkAppId));
}

/** The newest report of the task's attempt that its region knows; nulls if it knows none or did not answer. */
export async function newestReport(task: TaskContext, record: TaskRecord): Promise<KnownOfAttempt> {
  const { attempt } = record.state;
  const known = await regionOf(task, record)
    .newestReport(record.taskId, attempt)
    .catch((thrown: unknown) => task.failed("newest report not read", thrown));
  return { attempt, progress: known?.progress ?? null, plan: known?.plan ?? null };
}
