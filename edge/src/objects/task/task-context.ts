import type { Config } from "../../base/config.ts";
import type { DirectoryObject } from "../../contracts/directory-object.ts";
import type { Env } from "../../contracts/env.ts";
import type { RegionObject } from "../../contracts/region-object.ts";
import type { Progress } from "../../model/progress.ts";
import type { TaskRecord } from "./task-record.ts";
import type { ControlEvent } from "./task-transition.ts";

/** What the parts of a Task object share: its record, and the objects beside it. */
export interface TaskCore {
  readonly env: Env;
  /** As it is now; it may be another one after every `await`. Undefined: there is no such task, or none any more. */
  readonly record: TaskRecord | undefined;
  readonly config: Config;
  /** Writes the record. */
  put(record: TaskRecord): Promise<void>;
  control(event: ControlEvent): Promise<void>;
  /** Notes that another object did not answer. */
  failed(message: string, thrown: unknown): undefined;
}

/** The region that a task is placed in. */
export function regionOf({ env }: Pick<TaskCore, "env">, record: TaskRecord): DurableObjectStub<RegionObject> {
  return env.REGION.getByName(record.region);
}

export function directoryOf({ env }: Pick<TaskCore, "env">, record: TaskRecord): DurableObjectStub<DirectoryObject> {
  return env.DIRECTORY.getByName(String(record.request.SdkAppId));
}

/** How far a worker is with an attempt, as its region has heard; null: not known, or the region did not answer. */
export async function newestProgress(core: TaskCore, record: TaskRecord): Promise<Progress | null> {
  const progress = await regionOf(core, record)
    .progress(record.taskId, record.state.attempt)
    .catch((thrown: unknown) => core.failed("progress not read", thrown));
  return progress ?? null;
}
