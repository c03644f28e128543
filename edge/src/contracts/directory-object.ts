import type { ErrorCode, ScfStatus, ShownRequest, TaskList } from "@roomcast/shared";
import type { CallbackTarget } from "../model/callback-target.ts";
import type { RoomEvent } from "../model/room-event.ts";
import type { ListedTask, ListQuery } from "../model/task-filter.ts";

/** What the Directory of one application offers. Its name is the SdkAppId. */
export interface DirectoryObject extends Rpc.DurableObjectBranded {
  /**
   * Takes seats for new tasks of one application, at most 100, one after another, and keeps the tasks until their objects
   * have them. All is written down when this returns; where it throws, nothing is. With another shape of `Accept` it gets
   * another name: a Worker of one version and a Directory of another, while a deploy is under way, must not misread each
   * other.
   *
   * @returns an answer to each, in their order
   */
  acceptGroup(group: readonly Accept[]): Promise<readonly AcceptAnswer[]>;

  /** Makes the object of a task that was accepted and has none yet. */
  handOver(taskId: string): Promise<void>;

  /** TRTC tells what happened in a room of the application. */
  roomEvent(sdkAppId: number, event: RoomEvent): RoomNews;

  /** A task lives in another region from now on. */
  moved(taskId: string, region: string): void;

  /** A task has ended: its seat is its heir's, or free, unless a newer task has taken it. */
  ended(end: EndedTask): void;

  /** Deletes everything of a task. */
  forget(taskId: string): void;

  /** The first tasks of a query; how many match it on all pages; and by status, how many match it but for the status. */
  list(query: ListQuery): { total: number; counts: TaskList["counts"]; tasks: ListedTask[] };

  /** Those of a query that come after a task in its order. */
  listAfter(query: ListQuery, after: ListedTask): ListedTask[];
}

/** A task that asks for its seat, whole: nothing more is needed to make its object. */
export interface Accept {
  readonly taskId: string;
  readonly sdkAppId: number;
  readonly seatKey: string;
  readonly region: string;
  /** Before then it takes no place, Unix ms; 0: it may at once. */
  readonly startsAtMs: number;
  /** An `AcceptedPush` as JSON: one text is passed on and stored for a fraction of what its parts cost. */
  readonly push: string;
  /** Whether a task that holds the seat is replaced. */
  readonly onConflict: "replace" | "reject";
  /**
   * What it wants of tasks that push as the same user in other rooms of the application, as a room has each user once:
   * to know of them, to replace them, or to be rejected. Not said: nothing, as an older edge asks.
   */
  readonly otherRooms?: "warn" | "replace" | "reject";
  /** A task that is known to have ended, though it may not have said so here yet: it never rejects another one. */
  readonly endedHolder: string | null;
  readonly idempotency: {
    readonly key: string;
    /** Of the request, by each seal key, the newest first. */
    readonly fingerprints: readonly [string, ...string[]];
  } | null;
}

/** What an accepted task is to do. It is most of what is stored, and is read when the task's object is made. */
export interface AcceptedPush {
  readonly request: ShownRequest;
  readonly sealedRequest: string;
  readonly callbacks: CallbackTarget | null;
}

export type AcceptAnswer =
  /**
   * The task has the seat and will start, whatever happens. It is an earlier one where the same request was made before
   * with the same idempotency key.
   */
  | {
      readonly kind: "accepted";
      readonly taskId: string;
      /** Where it was asked for: the same user's tasks in other rooms, a few of them. */
      readonly elsewhere?: readonly UserSeat[];
    }
  /**
   * Another task holds the seat, and the request does not want to replace it. `elsewhere`: that task's own seat, where it
   * is in another room.
   */
  | { readonly kind: "taken"; readonly by: string; readonly elsewhere?: string }
  /** Another request was made with this idempotency key. */
  | { readonly kind: "conflict" };

/** A seat that a user has, and the task that has it. */
export interface UserSeat {
  readonly taskId: string;
  readonly seatKey: string;
  /** Before then it takes no place, Unix ms; 0: it may at once. */
  readonly startsAtMs: number;
}

export interface EndedTask {
  readonly taskId: string;
  readonly status: ScfStatus;
  readonly endedAtMs: number;
  /** Why it has failed; null, or not said, if it has not. */
  readonly errorCode?: ErrorCode | null;
  /** The task that has the seat again, because this one ended before it had taken the seat over. */
  readonly heir: string | null;
}

/** A task that has a seat in a room of which an event came. */
export interface RoomTask {
  readonly taskId: string;
  readonly userId: string;
}

/** What an event of a room means to the tasks that push there. */
export interface RoomNews {
  readonly tasks: readonly RoomTask[];
  /** Users in the room who are none of these tasks', as far as is known; counted up to a thousand. */
  readonly others: number;
}
