import type {
  ErrorBody,
  LogLine,
  Outcome,
  ShownRequest,
  SkippedItems,
  TaskLogs,
  TaskReport,
  TaskUpdate,
  TaskView,
} from "@roomcast/shared";
import type { CallbackTarget } from "../model/callback-target.ts";
import type { Progress } from "../model/progress.ts";
import type { RoomWord } from "../model/room-word.ts";
import type { UserSeat } from "./directory-object.ts";

/** What the Task object of one task offers. Its name is the task's id. */
export interface TaskObject extends Rpc.DurableObjectBranded {
  /** Writes a new task; placing follows on the alarm. Creating it again changes nothing. */
  create(task: TaskToCreate, acceptedAtMs: number, callbacks?: CallbackTarget | null): Promise<void>;

  exists(): boolean;

  /** The task as the API shows it, with the newest progress and plan that its region knows. Null if there is none. */
  view(): Promise<TaskView | null>;

  /**
   * Null if there is no such task.
   *
   * @param maxCharacters of all messages; where there are more, the newest lines are given, and `cut` says so
   */
  logs(maxCharacters?: number): (TaskLogs & { readonly cut?: true }) | null;

  /** Asks the task to end. Idempotent: an ended one stays as it ended. Null if there is none. */
  stop(how: StopHow, reason: string): Promise<TaskView | null>;

  /**
   * Changes a push while it runs, or before; resolves when the room sees the change. The caller has checked it by
   * `taskUpdateSchema`. Null if there is no such task.
   */
  update(change: TaskUpdate): Promise<UpdateAnswer | null>;

  /** A worker's answer to a change. What the change made of the push is written down when this returns. */
  updated(ref: AttemptRef, updateId: string, error: ErrorBody | null): Promise<void>;

  /**
   * A newer task takes the seat. A task that is on a worker plays on until the newer one is ready there; any other one
   * ends now. A dispatch that is under way is waited for, so that workers hear of the two in this order.
   *
   * @param where the newer one may be the same user's in another room: one that starts later is not in its way
   */
  giveWay(successor: string, where?: "seat" | "otherRoom"): Promise<GivesWay>;

  /** The newer task has come to nothing. True if this one has the seat again. */
  stay(successor: string): Promise<boolean>;

  /** False also of a task that is still to be created. */
  hasEnded(): boolean;

  /** Something happened in the task's room. */
  roomSays(word: RoomWord): Promise<void>;

  /** There may be room now. */
  wake(): Promise<void>;

  /** A worker's event of an attempt. It is written down when this returns. */
  hear(ref: AttemptRef, event: WorkerEvent): Promise<WorkerAnswer>;

  /** Adds lines to the log; those of an attempt that was taken back belong to the task's story too. */
  appendLogs(ref: AttemptRef, lines: readonly LogLine[]): void;

  /** Whether this worker holds this attempt. */
  holds(ref: AttemptRef): boolean;
}

export interface NewTask {
  readonly taskId: string;
  readonly region: string;
  readonly request: ShownRequest;
  readonly sealedRequest: string;
  readonly replaces: readonly string[];
  /** Tasks of the same user in other rooms, as far as is known. */
  readonly elsewhere?: readonly UserSeat[];
}

export interface TaskToCreate extends NewTask {
  /** A newer task that is about to take the seat, so that this one has ended already. */
  readonly successor?: string | null;
}

export type StopHow = "now" | "tidy";

/** An attempt, and the worker that has it or had it. An event counts only while this worker holds this attempt. */
export interface AttemptRef {
  readonly attempt: number;
  readonly workerId: string;
}

/** What a worker says of an attempt, or what is known of the attempt without the worker. */
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
  /** The worker is lost, or the dispatch never reached it. */
  | {
      readonly type: "released";
      readonly reason: string;
      readonly progress: Progress | null;
      /** False if the worker never got the task. */
      readonly dispatched?: boolean;
    };

/** What a worker's event comes to. `stop` is set if the attempt has been asked to end. */
export type WorkerAnswer =
  | { readonly kind: "stale" }
  | { readonly kind: "holds"; readonly stop: { readonly how: StopHow; readonly reason: string } | null };

/** What became of a change that was asked for. */
export type UpdateAnswer =
  | { readonly kind: "changed"; readonly task: TaskView }
  /** Everything is as it was, and why. */
  | { readonly kind: "refused"; readonly error: ErrorBody };

/**
 * What a task says to the newer one that takes its seat. `before`: the tasks before it that may hold the seat, the newest
 * first.
 */
export type GivesWay =
  /** It was deleted, and does not know who was before it. */
  | { readonly kind: "gone" }
  /** No worker has it, and none will. */
  | { readonly kind: "over"; readonly before: readonly string[] }
  | ({ readonly kind: "holds"; readonly before: readonly string[] } & SeatHolder);

/** A task that is on a worker with the seat that another one wants. */
export interface SeatHolder {
  readonly taskId: string;
  readonly region: string;
  readonly workerId: string;
  /** It has been asked to end. */
  readonly stopping: boolean;
}
