import type {
  ErrorBody,
  LogLine,
  Outcome,
  PlanSummary,
  ShownRequest,
  SkippedItems,
  TaskLogs,
  TaskReport,
  TaskUpdate,
  TaskView,
} from "@roomcast/shared";
import type { CallbackTarget } from "../model/callback-target.ts";
import type { Progress } from "../model/progress.ts";
import type { TaskRoomEvent } from "../model/task-room-event.ts";
import type { UserSeat } from "./directory-object.ts";

/** The interface of the Task object of one task. The object's name is the task's id. */
export interface TaskObject extends Rpc.DurableObjectBranded {
  /** Stores a new task, which the object's alarm places afterwards. If the task exists already, nothing changes. */
  create(task: TaskToCreate, acceptedAtMs: number, callbacks?: CallbackTarget | null): Promise<void>;

  exists(): boolean;

  /**
   * Returns the task as the API shows it, with the newest progress and plan that its region knows. Returns null if there is no
   * such task.
   */
  view(): Promise<TaskView | null>;

  /**
   * Returns the log, or null if there is no such task.
   *
   * @param maxCharacters the limit for the total length of the messages. If they are longer, only the newest lines are
   * returned, and `cut` is set.
   */
  logs(maxCharacters?: number): (TaskLogs & { readonly cut?: true }) | null;

  /** Asks the task to end. A task that has ended does not change. Returns null if there is no such task. */
  stop(how: StopHow, reason: string): Promise<TaskView | null>;

  /**
   * Changes a running or waiting push. Resolves when the room sees the change. The caller has validated the change with
   * `taskUpdateSchema`. Returns null if there is no such task.
   */
  update(change: TaskUpdate): Promise<UpdateAnswer | null>;

  /** Handles a worker's answer to a change. The result is stored when this returns. */
  updated(ref: AttemptRef, updateId: string, error: ErrorBody | null): Promise<void>;

  /**
   * Called when a newer task takes the seat of this one. If a worker has this task, the task keeps playing until the newer one
   * is ready; otherwise it ends now. A dispatch that is under way is completed first, so that the worker sees both tasks in
   * order.
   *
   * @param where `otherRoom` if the newer task is in another room and has the same user; in that case this task continues if it
   * only starts later
   */
  giveWay(successor: string, where?: "seat" | "otherRoom"): Promise<GivesWay>;

  /** Called when the newer task has ended before it was in the room. Returns true if this task has the seat again. */
  returnSeat(successor: string): Promise<boolean>;

  /** Returns true if the task has ended. Returns false also for a task that has not been created yet. */
  hasEnded(): boolean;

  /** Handles an event of the task's room. */
  roomEvent(event: TaskRoomEvent): Promise<void>;

  /** Wakes the task because a worker may have free capacity now. */
  wake(): Promise<void>;

  /** Handles an event of an attempt. The event is stored when this returns. */
  workerEvent(ref: AttemptRef, event: WorkerEvent): Promise<WorkerAnswer>;

  /** Adds lines to the log, even if the attempt is no longer the current one. */
  appendLogs(ref: AttemptRef, lines: readonly LogLine[]): void;

  /** Returns true if this worker holds this attempt. */
  holds(ref: AttemptRef): boolean;
}

export interface NewTask {
  readonly taskId: string;
  readonly region: string;
  readonly request: ShownRequest;
  readonly sealedRequest: string;
  readonly replaces: readonly string[];
  /** The known tasks of the same user in other rooms. */
  readonly elsewhere?: readonly UserSeat[];
}

export interface TaskToCreate extends NewTask {
  /** A newer task that is about to take the seat. If there is one, this task ends as soon as it is created. */
  readonly successor?: string | null;
}

export type StopHow = "now" | "tidy";

/** An attempt and its worker. An event has an effect only while this worker holds this attempt. */
export interface AttemptRef {
  readonly attempt: number;
  readonly workerId: string;
}

/** An event of an attempt, reported by its worker or found by the region. */
export type WorkerEvent =
  | { readonly type: "accepted" }
  | { readonly type: "refused"; readonly error: ErrorBody }
  | { readonly type: "reported"; readonly report: TaskReport }
  | {
      readonly type: "ended";
      readonly outcome: Outcome;
      readonly item?: number | undefined;
      readonly positionMs: number;
      readonly skipped?: SkippedItems | undefined;
    }
  /** The worker was lost, or the dispatch never reached it. */
  | {
      readonly type: "released";
      readonly reason: string;
      readonly progress: Progress | null;
      /** The newest plan that the region knows of. */
      readonly plan?: PlanSummary | null;
      /** False if the worker never received the task. */
      readonly dispatched?: boolean;
    };

/** The answer to a worker's event. `stop` is set if the attempt has been asked to end. */
export type WorkerAnswer =
  | { readonly kind: "stale" }
  | { readonly kind: "holds"; readonly stop: { readonly how: StopHow; readonly reason: string } | null };

/** The outcome of a requested change. */
export type UpdateAnswer =
  | { readonly kind: "changed"; readonly task: TaskView }
  /** Nothing has changed; `error` gives the reason. */
  | { readonly kind: "refused"; readonly error: ErrorBody };

/**
 * The answer of a task to the newer one that takes its seat. `before` lists the still older tasks that may hold the seat, the
 * newest first.
 */
export type GivesWay =
  /** The task was deleted, so its predecessors are unknown. */
  | { readonly kind: "gone" }
  /** No worker has the task, and none will get it. */
  | { readonly kind: "over"; readonly before: readonly string[] }
  | ({ readonly kind: "holds"; readonly before: readonly string[] } & SeatHolder);

/** A task that plays on a worker in the seat that another task wants. */
export interface SeatHolder {
  readonly taskId: string;
  readonly region: string;
  readonly workerId: string;
  /** True if the task has been asked to end. */
  readonly stopping: boolean;
}
