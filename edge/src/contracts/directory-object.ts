import type { ErrorCode, ScfStatus, ShownRequest, TaskList } from "@roomcast/shared";
import type { CallbackTarget } from "../model/callback-target.ts";
import type { RoomEvent } from "../model/room-event.ts";
import type { ListedTask, ListQuery } from "../model/task-filter.ts";

/** The interface of the Directory of one application. The object's name is the SdkAppId. */
export interface DirectoryObject extends Rpc.DurableObjectBranded {
  /**
   * Takes the seats for up to 100 new tasks of one application, in their order, and keeps the tasks until their objects have
   * been created. When this returns, everything is stored; if it throws, nothing is. If the form of `Accept` changes, the
   * method gets another name, so that a Worker and a Directory of different versions do not misread each other during a deploy.
   *
   * @returns one answer for each task, in the order of the tasks
   */
  acceptGroup(group: readonly Accept[]): Promise<readonly AcceptAnswer[]>;

  /** Creates the object of a task that was accepted and has none yet. */
  createObject(taskId: string): Promise<void>;

  /** Handles an event in a room of the application that TRTC has reported. */
  roomEvent(sdkAppId: number, event: RoomEvent): RoomNews;

  /** Notes that a task has moved to another region. */
  moved(taskId: string, region: string): void;

  /** Notes that a task has ended. Its seat goes to its heir or becomes free, unless a newer task has taken it. */
  ended(end: EndedTask): void;

  /** Deletes everything about a task. */
  forget(taskId: string): void;

  /**
   * Returns the first tasks of a query and the number of all matching tasks. `counts` has the number of tasks in each status,
   * without regard to the query's statuses.
   */
  list(query: ListQuery): { total: number; counts: TaskList["counts"]; tasks: ListedTask[] };

  /** Returns the tasks of a query that come after a given task. */
  listAfter(query: ListQuery, after: ListedTask): ListedTask[];
}

/** A new task that asks for its seat, with everything that is needed to make its object. */
export interface Accept {
  readonly taskId: string;
  readonly sdkAppId: number;
  readonly seatKey: string;
  readonly region: string;
  /** The earliest time at which the task may be placed, Unix ms; 0 if it may be placed at once. */
  readonly startsAtMs: number;
  /** An `AcceptedPush` as JSON. Passing on and storing one string costs a fraction of what its parts would cost. */
  readonly push: string;
  /** The reaction to a task that holds the seat: that task is replaced, or the new task is rejected. */
  readonly onConflict: "replace" | "reject";
  /**
   * The reaction to tasks of the same user in other rooms of the application: a list of them in the answer, their replacement,
   * or a rejection. Absent in calls of an older edge, which wants no reaction.
   */
  readonly otherRooms?: "warn" | "replace" | "reject";
  /** A task that is known to have ended, although the Directory may not know this yet. Such a task never causes a rejection. */
  readonly endedHolder: string | null;
  readonly idempotency: {
    readonly key: string;
    /** Digests of the request, one for each seal key, the newest first. */
    readonly fingerprints: readonly [string, ...string[]];
  } | null;
}

/** The content of an accepted task, which is most of what is stored of it. It is read when the task's object is created. */
export interface AcceptedPush {
  readonly request: ShownRequest;
  readonly sealedRequest: string;
  readonly callbacks: CallbackTarget | null;
}

export type AcceptAnswer =
  /**
   * The task has the seat and will start. If the same request was made before with the same idempotency key, `taskId` is that
   * of the earlier task.
   */
  | {
      readonly kind: "accepted";
      readonly taskId: string;
      /** Some tasks of the same user in other rooms, if the request asked for them. */
      readonly elsewhere?: readonly UserSeat[];
    }
  /**
   * Another task holds the seat, and the request does not want to replace that task. `elsewhere` is the seat of that task if it
   * is in another room.
   */
  | { readonly kind: "taken"; readonly by: string; readonly elsewhere?: string }
  /** Another request was made with this idempotency key. */
  | { readonly kind: "conflict" };

/** A seat of a user, and the task that holds it. */
export interface UserSeat {
  readonly taskId: string;
  readonly seatKey: string;
  /** The earliest time at which the task may be placed, Unix ms; 0 if it may be placed at once. */
  readonly startsAtMs: number;
}

export interface EndedTask {
  readonly taskId: string;
  readonly status: ScfStatus;
  readonly endedAtMs: number;
  /** The code of the error with which the task failed; null or absent if it did not fail. */
  readonly errorCode?: ErrorCode | null;
  /** The older task that gets the seat back because the ended task had not taken the seat over yet; null if there is none. */
  readonly heir: string | null;
}

/** A task that has a seat in the room of an event. */
export interface RoomTask {
  readonly taskId: string;
  readonly userId: string;
}

/** The effect of a room's event on the tasks that push there. */
export interface RoomNews {
  readonly tasks: readonly RoomTask[];
  /** The known number of users in the room that do not belong to these tasks, counted up to a thousand. */
  readonly others: number;
}
