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

/** That somebody wants the task to end. */
export interface StopIntention {
  readonly how: StopHow;
  readonly reason: string;
  readonly atMs: number;
}

/** So many attempts are remembered by their worker: the last words of an older one have long been heard. */
export const MAX_HOLDERS = 16;

/** The version of `TaskRecord`. What is stored in an older one is brought up by `upgradeRecord`. */
export const RECORD_SCHEMA = 4;

/** The whole truth of a task, as it is stored. Times are Unix ms. */
export interface TaskRecord {
  readonly schema: typeof RECORD_SCHEMA;
  readonly taskId: string;
  readonly region: string;
  readonly createdAtMs: number;
  /** When a worker first said that it pushes. */
  readonly startedAtMs: number | null;
  readonly request: ShownRequest;
  /** The whole request, sealed; null once the task has ended. */
  readonly sealedRequest: string | null;
  readonly state: TaskState;
  /**
   * Since when no push has run though one should: the queue time-out counts from here, over refusals and all. It may be
   * still to come.
   */
  readonly waitingSinceMs: number;
  /** When to try to place it next; null: not waiting for a place. */
  readonly placeAtMs: number | null;
  /** Whether the worker of this attempt has said that it takes the task. */
  readonly accepted: boolean;
  readonly stop: StopIntention | null;
  /** Attempts lost one after another without a push in between. */
  readonly lostInARow: number;
  /** Why the last attempt came to nothing before its first picture; null, or not said: none has since the last push. */
  readonly lostStart?: string | null;
  /** How many workers were lost under it, one soon after another; not said: none. */
  readonly workersLost?: number;
  /** When the newest attempt was given its worker; not said: by an older edge, or it was not yet. */
  readonly placedAtMs?: number;
  readonly lastWorkerId: string | null;
  /** Who had the newest attempts, the newest last. */
  readonly holders: readonly AttemptRef[];
  /** The worker that refused or lost the task last; another one is preferred. */
  readonly avoidWorkerId: string | null;
  /** Tasks that hold the seat, or did, and that this one has not taken over yet, the newest first. */
  readonly replaces: readonly string[];
  /** Whether any of those may have been told to give way to this one. */
  readonly seat: "untouched" | "asked";
  /** The task that takes the seat over, or the user in another room; null: none does. */
  readonly successor: string | null;
  /** Tasks of the same user in other rooms that this one replaces once it is in its own; none or not said: it does not. */
  readonly elsewhere?: readonly string[];
  /** What its room's own events say of it; not said: there were none. */
  readonly room?: RoomSight;
  /** The oldest first; none or not said: there are none. */
  readonly warnings?: readonly TaskWarning[];
  readonly progress: Progress | null;
  /** It shall stand still, whoever plays it. */
  readonly paused: boolean;
  readonly plan: PlanSummary | null;
  /** Items of the playlist that this attempt has passed over; not said: none. */
  readonly skipped?: SkippedItems & { readonly attempt: number };
  /** When the worker was last heard of this task. */
  readonly heardAtMs: number;
  /** Whether Directory and Region have been told that it has ended. */
  readonly settled: boolean;
  /** After a deadline could not be met (another object did not answer): not before. */
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

/** @param madeAtMs when its object is made, which in a burst is later than it was accepted: its time in the queue begins */
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
