import {
  initialState,
  isActive,
  type PlanSummary,
  type ShownRequest,
  type SkippedItems,
  type TaskState,
} from "@roomcast/shared";

import type { AttemptRef, NewTask, StopHow } from "../../contracts/task-object.ts";
import type { Progress } from "../../model/progress.ts";
import { firstPlaceAtMs } from "../../model/task-times.ts";
import { type TaskWarning, warningsOf } from "../../model/task-warnings.ts";
import type { RoomSight } from "./room-sight.ts";

/** A request to end the task. */
export interface StopIntention {
  readonly how: StopHow;
  readonly reason: string;
  readonly atMs: number;
}

/** The number of newest attempts whose workers are stored. Log lines of older attempts no longer arrive. */
export const MAX_HOLDERS = 16;

/** The version of `TaskRecord`. `upgradeRecord` converts a record that an older version of the code stored. */
export const RECORD_SCHEMA = 4;

/** The data of a task, in the form that is stored. Times are Unix ms. */
export interface TaskRecord {
  readonly schema: typeof RECORD_SCHEMA;
  readonly taskId: string;
  readonly region: string;
  readonly createdAtMs: number;
  /** The time at which a worker first reported that it pushes; null if no worker has. */
  readonly startedAtMs: number | null;
  readonly request: ShownRequest;
  /** The whole request, sealed; null once the task has ended. */
  readonly sealedRequest: string | null;
  readonly state: TaskState;
  /**
   * The time since which the push has been due without running. The queue time-out counts from here, and a refusal does
   * not start it again. For a push that starts later, this time is in the future.
   */
  readonly waitingSinceMs: number;
  /** The time at which to look for a worker next; null if the task does not wait for a worker. */
  readonly placeAtMs: number | null;
  /** True if the worker of this attempt has accepted the task. */
  readonly accepted: boolean;
  readonly stop: StopIntention | null;
  /** The number of attempts that were lost or refused in a row. An attempt that pushes sets it back to 0. */
  readonly lostInARow: number;
  /**
   * The reason of the newest loss of an attempt before its first picture. Null or absent if there was no such loss
   * since a worker last pushed.
   */
  readonly lostStart?: string | null;
  /** The number of workers that were lost in quick succession while they had the task; absent if none was lost. */
  readonly workersLost?: number;
  /** The time at which the task was last given to a worker; absent if it was not yet, or if an older edge did so. */
  readonly placedAtMs?: number;
  readonly lastWorkerId: string | null;
  /** The workers of the newest attempts, the newest last. */
  readonly holders: readonly AttemptRef[];
  /**
   * The worker that last refused, lost or gave back the task; another worker is preferred. Null if there is no such
   * worker.
   */
  readonly avoidWorkerId: string | null;
  /**
   * The older tasks of the seat that this task has not taken over from yet, the newest first. They hold the seat or
   * held it.
   */
  readonly replaces: readonly string[];
  /** `asked` if any task in `replaces` may have been asked to give way to this task. */
  readonly seat: "untouched" | "asked";
  /**
   * The newer task that takes over this task's seat, or this task's user in another room; null if there is no such
   * task.
   */
  readonly successor: string | null;
  /**
   * Tasks of the same user in other rooms that this task replaces once it is in its own room; absent if there are none.
   */
  readonly elsewhere?: readonly string[];
  /** What the events of the room have shown about the push; absent if there were no events. */
  readonly room?: RoomSight;
  /** The warnings about the task, the oldest first; absent if there are none. */
  readonly warnings?: readonly TaskWarning[];
  readonly progress: Progress | null;
  /** True if the push is paused. A pause outlives the loss of a worker. */
  readonly paused: boolean;
  readonly plan: PlanSummary | null;
  /** Items of the playlist that were skipped, with the attempt that skipped them; absent if there are none. */
  readonly skipped?: SkippedItems & { readonly attempt: number };
  /** The time at which the worker last sent something about this task. */
  readonly heardAtMs: number;
  /** True if Directory and Region know that the task has ended. */
  readonly settled: boolean;
  /** No deadline is handled before this time. It is set after another object did not answer. */
  readonly retryAtMs: number;
}

/** The progress and plan in the newest report of an attempt that its region knows. */
export interface KnownOfAttempt {
  readonly attempt: number;
  readonly progress: Progress | null;
  readonly plan: PlanSummary | null;
}

/**
 * Returns the record with the newest report of its attempt. Returns the record unchanged if that attempt is over. Pure.
 */
export function withProgress(record: TaskRecord, { attempt, progress, plan }: KnownOfAttempt): TaskRecord {
  if (!isActive(record.state) || record.state.attempt !== attempt) return record;
  return { ...record, progress: progress ?? record.progress, plan: plan ?? record.plan };
}

/**
 * Returns the record of a task that has just been accepted. Pure.
 *
 * @param madeAtMs the time at which the task's object is created, which in a burst is later than the accept; the queue
 *   time-out counts from this time
 */
export function newRecord(
  { elsewhere = [], ...task }: NewTask,
  acceptedAtMs: number,
  madeAtMs: number = acceptedAtMs,
): TaskRecord {
  const placeAtMs = firstPlaceAtMs(task.request, madeAtMs);
  const warnings = warningsOf(task.request, elsewhere).map((warning) => ({ ...warning, atMs: acceptedAtMs }));
  const replacesElsewhere = task.request.OnConflict === "replace" && elsewhere.length > 0;
  return {
    schema: RECORD_SCHEMA,
    ...task,
    createdAtMs: acceptedAtMs,
    startedAtMs: null,
    state: initialState(acceptedAtMs),
    waitingSinceMs: placeAtMs,
    placeAtMs,
    accepted: false,
    stop: null,
    lostInARow: 0,
    lastWorkerId: null,
    holders: [],
    avoidWorkerId: null,
    seat: "untouched",
    successor: null,
    progress: null,
    paused: false,
    plan: null,
    heardAtMs: acceptedAtMs,
    settled: false,
    retryAtMs: 0,
    ...(replacesElsewhere ? { elsewhere: elsewhere.map(({ taskId }) => taskId) } : {}),
    ...(warnings.length > 0 ? { warnings } : {}),
  };
}
