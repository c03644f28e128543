import type { EdgeFrameOf, RegionList, WorkerList } from "@roomcast/shared";
import type { AppScope } from "../model/app-scope.ts";
import type { HeldTask } from "../model/held-condition.ts";
import type { Progress } from "../model/progress.ts";
import type { AttemptRef } from "./task-object.ts";

/** Headers with which the Worker tells, after it has verified the token, who connects to which region. */
export const WORKER_ID_HEADER = "x-roomcast-worker-id";
export const REGION_HEADER = "x-roomcast-region";

/** What the Region object of one region offers; its name is the region's. Its `fetch` is the worker socket's upgrade. */
export interface RegionObject extends Rpc.DurableObjectBranded {
  /**
   * Finds a worker with room and holds the room: in this region, else in the nearest neighbour that has any, unless the
   * task is pinned. Where there is none now, the task is woken when there may be some here.
   */
  reserve(wanted: Reserve): Promise<Reserved | NoRoom>;

  /** Finds a worker of this region with room and holds the room. Null if there is none. */
  reserveHere(wanted: Reserve): Promise<Reserved | null>;

  /** Hands a task to the worker that was reserved for it. False if the worker is not there any more. */
  dispatch(order: DispatchOrder): boolean;

  /** Tells a worker to end a task. A worker that is away is told when it is back. */
  stopTask(order: StopOrder): void;

  /** Asks a worker to change a push. */
  updateTask(order: UpdateOrder): "asked" | "away" | "tooOld";

  /** The task needs nothing of this region any more in this attempt. */
  forget(taskId: string, attempt: number): void;

  /** Whether a worker has the task, or is expected back with it. */
  holds(taskId: string, attempt: number): boolean;

  /** Whether this worker has reported this attempt, or is expected back, after a restart of the edge, to do so. */
  answersFor(taskId: string, ref: AttemptRef): boolean;

  /** The newest progress that a worker has reported of this attempt. Null if there is none. */
  progress(taskId: string, attempt: number): Progress | null;

  /** Ends a worker's connections, because its token holds no more. Its tasks are released like a lost worker's. */
  disconnect(workerId: string, reason: string): Promise<void>;

  /** How many workers could take a task, and for how much longer others are expected back after a restart (0: none are). */
  outlook(): { workers: number; returningMs: number };

  /** @param apps whose part of the fleet is shown; an older edge does not say it, and is shown the whole */
  workers(region: string, apps?: AppScope): WorkerList["workers"];

  /** The tasks that this region's workers have, with what they last said of them. */
  heldTasks(): HeldTask[];

  /** Workers that were lost within the last hour, the newest first. */
  lostWorkers(region: string): WorkerList["lost"];

  summary(region: string, apps?: AppScope): RegionList["regions"][number];

  /**
   * Takes a worker out of service: it gets no new tasks and hands over what it has; it stays connected, and stays
   * drained when it dials again. False if no such worker is connected.
   */
  drain(workerId: string): boolean;

  /** Puts a worker back into service. False if it was not drained. */
  undrain(workerId: string): boolean;
}

export interface WantedWorker {
  readonly units: number;
  /** No other worker will do, and its load does not matter: the task takes over what another one costs it. */
  readonly onlyWorkerId: string | null;
  /** Taken only if no other has room. */
  readonly avoidWorkerId: string | null;
}

export interface Reserve extends WantedWorker {
  readonly taskId: string;
  readonly attempt: number;
  /** The name of the region that is asked. */
  readonly region: string;
  /** No other region will do. */
  readonly pinned: boolean;
  /** The oldest protocol version that can carry the task: see `requiredProtocol`. */
  readonly protocol: number;
}

export interface Reserved {
  readonly kind: "reserved";
  readonly workerId: string;
  readonly region: string;
}

export interface NoRoom {
  readonly kind: "noRoom";
  /** How many wait in this region. */
  readonly waiting: number;
}

/** What is sent to the worker that holds an attempt: a frame, and which worker. */
type OrderOf<Type extends "dispatch" | "stop" | "update"> = Omit<EdgeFrameOf<Type>, "type"> & AttemptRef;

export type DispatchOrder = OrderOf<"dispatch">;
export type StopOrder = OrderOf<"stop">;
export type UpdateOrder = OrderOf<"update">;
