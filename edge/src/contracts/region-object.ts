import type { EdgeFrameOf, PlanSummary, RegionList, WorkerList } from "@roomcast/shared";
import type { AppScope } from "../model/app-scope.ts";
import type { HeldTask } from "../model/held-condition.ts";
import type { Progress } from "../model/progress.ts";
import type { AttemptRef } from "./task-object.ts";

/** The headers in which the edge Worker names the media worker and its region after it has verified the token. */
export const WORKER_ID_HEADER = "x-roomcast-worker-id";
export const REGION_HEADER = "x-roomcast-region";

/**
 * The interface of the Region object of one region. The object has the name of the region. Its `fetch` upgrades a worker's
 * connection to a WebSocket.
 */
export interface RegionObject extends Rpc.DurableObjectBranded {
  /**
   * Reserves capacity on a worker of this region. Unless the task is pinned, the nearest other regions are tried next. If no
   * worker has free capacity, the task is woken when this region may have some.
   */
  reserve(wanted: Reserve): Promise<Reserved | NoRoom>;

  /** Reserves capacity on a worker of this region. Returns null if no worker has enough. */
  reserveHere(wanted: Reserve): Promise<Reserved | null>;

  /** Sends a task to the worker that was reserved for it. Returns false if the worker is no longer connected. */
  dispatch(order: DispatchOrder): boolean;

  /** Orders a worker to end a task. If the worker is not connected, the order is sent when it connects again. */
  stopTask(order: StopOrder): void;

  /** Asks a worker to change a push. */
  updateTask(order: UpdateOrder): "asked" | "away" | "tooOld";

  /** Frees the capacity that the region holds for this attempt of a task. */
  forget(taskId: string, attempt: number): void;

  /** Returns true if a worker has the task or if a worker is expected to come back with the task. */
  holds(taskId: string, attempt: number): boolean;

  /** Returns true if this worker has reported this attempt, or if it is expected to do so after a restart of the edge. */
  answersFor(taskId: string, ref: AttemptRef): boolean;

  /** Returns the newest report of a worker on this attempt, or null if there is none. */
  newestReport(taskId: string, attempt: number): KnownReport | null;

  /** Ends a worker's connections because its token was revoked. Its tasks are released like those of a lost worker. */
  disconnect(workerId: string, reason: string): Promise<void>;

  /**
   * Returns the number of workers that could take a task, and the time for which other workers are still expected back after a
   * restart (0 if no worker is expected).
   */
  outlook(): { workers: number; returningMs: number };

  /**
   * @param apps the applications whose share of the fleet is shown; absent in calls of an older edge, for which all are shown
   */
  workers(region: string, apps?: AppScope): WorkerList["workers"];

  /** Returns the tasks that this region's workers carry, with their latest reports. */
  heldTasks(): HeldTask[];

  /** Returns the workers that were lost within the last hour, the newest first. */
  lostWorkers(region: string): WorkerList["lost"];

  summary(region: string, apps?: AppScope): RegionList["regions"][number];

  /**
   * Drains a worker: it gets no new tasks, and its tasks go to other workers. The worker stays connected, and is still drained
   * when it connects again. Returns false if no such worker is connected.
   */
  drain(workerId: string): boolean;

  /** Puts a worker back into service. Returns false if it was not drained. */
  undrain(workerId: string): boolean;
}

/** The last report of a worker on an attempt. */
export interface KnownReport {
  readonly progress: Progress;
  /** Null until the worker has opened a source. */
  readonly plan: PlanSummary | null;
}

export interface WantedWorker {
  readonly units: number;
  /** The only worker that can take the task, because the task replaces another one there. The worker's load does not matter. */
  readonly onlyWorkerId: string | null;
  /** A worker that is chosen only if no other worker has free capacity. */
  readonly avoidWorkerId: string | null;
}

export interface Reserve extends WantedWorker {
  /** The units that a worker counts for the task until it has opened the source. Absent in calls of an older edge. */
  readonly unopenedUnits?: number;
  readonly taskId: string;
  readonly attempt: number;
  /** The name of the region that is asked. */
  readonly region: string;
  /** True if no other region may be tried. */
  readonly pinned: boolean;
  /** The oldest protocol version that can carry the task; see `requiredProtocol`. */
  readonly protocol: number;
}

export interface Reserved {
  readonly kind: "reserved";
  readonly workerId: string;
  readonly region: string;
}

export interface NoRoom {
  readonly kind: "noRoom";
  /** The number of tasks that wait in this region. */
  readonly waiting: number;
}

/** A frame for the worker that holds an attempt. */
type OrderOf<Type extends "dispatch" | "stop" | "update"> = Omit<EdgeFrameOf<Type>, "type"> & AttemptRef;

export type DispatchOrder = OrderOf<"dispatch">;
export type StopOrder = OrderOf<"stop">;
export type UpdateOrder = OrderOf<"update">;
