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

/** A wish that the task ends. */
export interface StopIntention {
  readonly how: StopHow;
  readonly reason: string;
  readonly atMs: number;
}

/** The number of attempts whose workers are remembered: no log lines come any more from older ones. */
export const MAX_HOLDERS = 16;

/** The version of `TaskRecord`. `upgradeRecord` converts a record that an older version of the code stored. */
export const RECORD_SCHEMA = 4;

/** Everything that is known of a task, as it is stored. Times are Unix ms. */
export interface TaskRecord {
  readonly schema: typeof RECORD_SCHEMA;
  readonly taskId: string;
  readonly region: string;
  readonly createdAtMs: number;
  /** When a worker first reported that it pushes. */
  readonly startedAtMs: number | null;
  readonly request: ShownRequest;
  /** The whole request, sealed; null once the task has ended. */
  readonly sealedRequest: string | null;
  readonly state: TaskState;
  /**
   * Since when the push has been due without running. The queue time-out counts from here, also over refusals. It is in
   * the future for a push that starts later.
   */
  readonly waitingSinceMs: number;
  /** When to look for a worker next; null if the task does not wait for one. */
  readonly placeAtMs: number | null;
  /** True if the worker of this attempt has accepted the task. */
  readonly accepted: boolean;
  readonly stop: StopIntention | null;
  /** The number of attempts lost in a row without a push in between. */
  readonly lostInARow: number;
  /** Why the last attempt was lost before its first picture; null or absent if none was since the last push. */
  readonly lostStart?: string | null;
  /** How many workers were lost under the task in quick succession; absent if none was. */
  readonly workersLost?: number;
  /** When the newest attempt got its worker; absent if it has none yet, or if an older edge placed it. */
  readonly placedAtMs?: number;
  readonly lastWorkerId: string | null;
  /** The workers of the newest attempts, the newest last. */
  readonly holders: readonly AttemptRef[];
  /** The worker that refused or lost the task last; another one is preferred. */
  readonly avoidWorkerId: string | null;
  /** Tasks that hold the seat, or did, and that this one has not taken over yet, the newest first. */
  readonly replaces: readonly string[];
  /** `asked` if any of those may have been asked to give way to this one. */
  readonly seat: "untouched" | "asked";
  /** The task that takes over the seat, or the user in another room; null if there is none. */
  readonly successor: string | null;
  /** Tasks of the same user in other rooms that this one replaces once it is in its own room; absent if there are none. */
  readonly elsewhere?: readonly string[];
  /** What the events of its room say about it; absent if there were none. */
  readonly room?: RoomSight;
  /** The oldest first; absent if there are none. */
  readonly warnings?: readonly TaskWarning[];
  readonly progress: Progress | null;
  /** True if the push is paused, on whichever worker. */
  readonly paused: boolean;
  readonly plan: PlanSummary | null;
  /** Items of the playlist that this attempt has passed over; absent if there are none. */
  readonly skipped?: SkippedItems & { readonly attempt: number };
  /** When the worker last sent something about this task. */
  readonly heardAtMs: number;
  /** True if Directory and Region know that it has ended. */
  readonly settled: boolean;
  /** After another object did not answer: no deadline is handled before this time. */
  readonly retryAtMs: number;
}

/** The newest report of an attempt, as far as its region knows it. */
export interface KnownOfAttempt {
  readonly attempt: number;
  readonly progress: Progress | null;
  readonly plan: PlanSummary | null;
}

/** The record with the newest report of its attempt; unchanged if that attempt is over. Pure. */
export function withProgress(record: TaskRecord, { attempt, progress, plan }: KnownOfAttempt): TaskRecord {
  if (!isActive(record.state) || record.state.attempt !== attempt) return record;
  return { ...record, progress: progress ?? record.progress, plan: plan ?? record.plan };
}

/**
 * Returns the record of a task that has just been accepted. Pure.
 *
 * @param madeAtMs when its object is created, in a burst later than it was accepted: the queue time-out counts from here
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
