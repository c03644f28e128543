import type { EdgeFrameOf, PlanSummary, RegionList, WorkerList } from "@roomcast/shared";
import type { AppScope } from "../model/app-scope.ts";
import type { HeldTask } from "../model/held-condition.ts";
import type { Progress } from "../model/progress.ts";
import type { AttemptRef } from "./task-object.ts";

/** Headers in which the edge Worker, after verifying the token, names the media worker and its region. */
export const WORKER_ID_HEADER = "x-roomcast-worker-id";
export const REGION_HEADER = "x-roomcast-region";

/** The interface of the Region object of one region, whose name is the region's. Its `fetch` upgrades to the worker socket. */
export interface RegionObject extends Rpc.DurableObjectBranded {
  /** Reserves room on a worker of this region, or of the nearest neighbour with room unless the task is pinned. If there is none,
   * the task is woken when this region may have room.
   */
  reserve(wanted: Reserve): Promise<Reserved | NoRoom>;

  /** Reserves room on a worker of this region. Returns null if there is none. */
  reserveHere(wanted: Reserve): Promise<Reserved | null>;

  /** Sends a task to the worker that was reserved for it. Returns false if the worker is no longer connected. */
  dispatch(order: DispatchOrder): boolean;

  /** Tells a worker to end a task. If the worker is away, it is told when it comes back. */
  stopTask(order: StopOrder): void;

  /** Asks a worker to change a push. */
  updateTask(order: UpdateOrder): "asked" | "away" | "tooOld";

  /** Frees what the region holds for this attempt of a task. */
  forget(taskId: string, attempt: number): void;

  /** Returns true if a worker has the task or is expected back with it. */
  holds(taskId: string, attempt: number): boolean;

  /** Returns true if this worker has reported this attempt, or is expected to do so after a restart of the edge. */
  answersFor(taskId: string, ref: AttemptRef): boolean;

  /** Returns the newest report of a worker on this attempt, or null if there is none. */
  newestReport(taskId: string, attempt: number): KnownReport | null;

  /** Ends a worker's connections because its token was revoked. Its tasks are released like those of a lost worker. */
  disconnect(workerId: string, reason: string): Promise<void>;

  /** Returns the number of workers that could take a task, and for how much longer others are expected back after a restart (0 if
   * none are). */
  outlook(): { workers: number; returningMs: number };

  /** @param apps the applications whose share of the fleet is shown; absent in calls of an older edge, which sees all */
  workers(region: string, apps?: AppScope): WorkerList["workers"];

  /** Returns the tasks that this region's workers carry, with their latest reports. */
  heldTasks(): HeldTask[];

  /** Returns the workers that were lost within the last hour, the newest first. */
  lostWorkers(region: string): WorkerList["lost"];

  summary(region: string, apps?: AppScope): RegionList["regions"][number];

  /** Drains a worker: it gets no new tasks and hands over those that it has. It stays connected, and stays drained when it connects
   * again. Returns false if no such worker is connected.
   */
  drain(workerId: string): boolean;

  /** Puts a worker back into service. Returns false if it was not drained. */
  undrain(workerId: string): boolean;
}

/** What a worker has reported last of an attempt. */
export interface KnownReport {
  readonly progress: Progress;
  /** Null while the worker has not opened a source. */
  readonly plan: PlanSummary | null;
}

export interface WantedWorker {
  readonly units: number;
  /** The only worker that can take the task, whatever its load: the task replaces another one there. */
  readonly onlyWorkerId: string | null;
  /** A worker that is taken only if no other has room. */
  readonly avoidWorkerId: string | null;
}

export interface Reserve extends WantedWorker {
  /** What a worker counts for the task until it has opened the source; an older edge does not say it. */
  readonly unopenedUnits?: number;
  readonly taskId: string;
  readonly attempt: number;
  /** The name of the region that is asked. */
  readonly region: string;
  /** True if no other region is to be tried. */
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
