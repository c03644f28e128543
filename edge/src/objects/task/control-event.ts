import type { ErrorBody, PlanSummary, ShownRequest } from "@roomcast/shared";
import type { Progress } from "../../model/progress.ts";
import type { TaskRoomEvent } from "../../model/task-room-event.ts";
import type { StopIntention, TaskRecord } from "./task-record.ts";

/**
 * An event of a task that a user, the room, another object or a deadline causes. Events of workers are `WorkerEvent`s.
 */
export type ControlEvent =
  // Placement
  | { readonly type: "placed"; readonly workerId: string }
  /** The task moves to another region, where a worker has free capacity or holds the task's seat. */
  | { readonly type: "movedTo"; readonly region: string }
  | { readonly type: "noRoom"; readonly retryAtMs: number }
  | { readonly type: "woken" }
  | { readonly type: "acceptTimeout" }
  | { readonly type: "queueTimeout"; readonly workers: number | null; readonly waitedMs: number }
  /** The queue time-out counts from `sinceMs`, because workers are expected back. */
  | { readonly type: "waitRestarted"; readonly sinceMs: number }

  // The seat
  /** The task begins to ask the older tasks of its seat to give way. */
  | { readonly type: "seatAsked" }
  /** All older tasks have answered, and `holders` still hold the seat. */
  | { readonly type: "seatClaimed"; readonly holders: readonly string[] }
  /** The task ended while it was asking older tasks. Its successor asks the rest of them. */
  | { readonly type: "seatClaimDropped"; readonly seat: TaskRecord["seat"]; readonly replaces: readonly string[] }
  /** A newer task takes the seat. */
  | { readonly type: "giveWay"; readonly successor: string }
  /** The newer task ended without taking the seat. */
  | { readonly type: "seatReturned"; readonly successor: string }

  // The request
  | { readonly type: "resealed"; readonly before: string; readonly sealedRequest: string }
  | RequestChanged

  // The running push
  /** The region still counts this attempt as held by its worker. */
  | { readonly type: "stillHeld"; readonly attempt: number }
  /** The progress and plan in the newest report of this attempt that the region knows. */
  | {
      readonly type: "progressRead";
      readonly attempt: number;
      readonly progress: Progress | null;
      readonly plan: PlanSummary | null;
    }
  | { readonly type: "roomEvent"; readonly event: TaskRoomEvent }

  // The end
  | { readonly type: "stopAsked"; readonly how: StopIntention["how"]; readonly reason: string }
  | { readonly type: "stopTimeout" }
  | { readonly type: "executionTimeout"; readonly limitMs: number }
  /** The edge cannot continue with the task, for example because it cannot open its sealed request. */
  | { readonly type: "broken"; readonly error: ErrorBody }
  /** Directory and Region know that the task has ended. */
  | { readonly type: "settled" }

  /** Another object did not answer, so the due deadlines are put off to this time. */
  | { readonly type: "putOff"; readonly retryAtMs: number };

/** A change of the push was made. Later attempts continue with the changed request. */
export interface RequestChanged {
  readonly type: "requestChanged";
  readonly request: ShownRequest;
  readonly sealedRequest: string;
  readonly paused: boolean;
  /** The progress with the position that the change has set; absent if the change does not move the position. */
  readonly progress?: Progress | null;
}
