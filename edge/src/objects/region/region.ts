import { DurableObject } from "cloudflare:workers";
import {
  CLOSE,
  type EdgeFrameOf,
  type RegionList,
  requestForWorker,
  requiredProtocolOfUpdate,
  type WorkerList,
} from "@roomcast/shared";
import { warn } from "../../base/warn.ts";
import { KnownRegions } from "../../caches/known-regions.ts";
import type { Env } from "../../contracts/env.ts";
import type { AppScope } from "../../model/app-scope.ts";
import type { HeldTask } from "../../model/held-condition.ts";
import { neighboursOf } from "../../model/region-distance.ts";
import type { Progress } from "../task/task-record.ts";
import type { AttemptRef } from "../task/task-transition.ts";
import { place, type Wanted } from "./choose-worker.ts";
import { WorkerGreeter } from "./greet-worker.ts";
import { CHECK_RESERVATION_AFTER_MS, meetDeadlines } from "./handle-alarm.ts";
import { hearWorker } from "./handle-frame.ts";
import { readFrame } from "./read-frame.ts";
import { Fleet } from "./region-state.ts";
import { showLostWorkers, showRegion, showWorkers } from "./show-workers.ts";
import type { GreetedSocket } from "./worker-sockets.ts";

const RETRY_MS = 1000;

/** Headers with which the Worker tells, after it has verified the token, who connects to which region. */
export const WORKER_ID_HEADER = "x-roomcast-worker-id";
export const REGION_HEADER = "x-roomcast-region";

/** So many of the nearest neighbours are asked for room. */
const MAX_NEIGHBOURS = 4;

export interface Reserve extends Wanted {
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

/** The workers of one region: it places tasks on them and passes messages; it owns no task's truth. */
export class Region extends DurableObject<Env> {
  readonly #fleet = new Fleet(this.ctx, this.env);
  readonly #greeter = new WorkerGreeter(this.#fleet);
  readonly #knownRegions = new KnownRegions();

  /** The worker socket's upgrade. */
  override async fetch(request: Request): Promise<Response> {
    const workerId = request.headers.get(WORKER_ID_HEADER) ?? "";
    const region = request.headers.get(REGION_HEADER) ?? "";
    const { 0: client, 1: server } = new WebSocketPair();
    const deadlineMs = Date.now() + this.#fleet.config.helloTimeoutMs;
    this.#fleet.sockets.accept(server, { phase: "greeting", workerId, region, deadlineMs });
    await this.#fleet.wakeAt(deadlineMs);
    return new Response(null, { status: 101, webSocket: client });
  }

  override async webSocketMessage(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
    const fleet = this.#fleet;
    const state = fleet.sockets.get(socket);
    if (state === undefined || state.phase === "gone") return;
    const read = readFrame(data);
    if (read.kind === "refused") return fleet.drop(socket, read.code, read.reason);
    const { frame } = read;
    if (state.phase === "greeting") {
      if (frame.type === "hello") return this.#greeter.greet(socket, state, frame);
      return fleet.drop(socket, CLOSE.malformedFrame, "The first frame must be a hello.");
    }
    const greeted: GreetedSocket = { ...state, lastSeenMs: Date.now() };
    fleet.sockets.set(socket, greeted);
    return hearWorker(fleet, socket, greeted, frame);
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    await this.#fleet.lost(socket);
    // A socket that hibernates returns no close frame by itself, and the worker would wait for it.
    this.#fleet.sockets.answerClose(socket, code);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    await this.#fleet.lost(socket);
  }

  override async alarm(): Promise<void> {
    try {
      await meetDeadlines(this.#fleet);
    } catch (thrown) {
      // The runtime gives up an alarm that throws again and again; what is due here may not be given up.
      warn("deadlines not met", thrown);
      await this.#fleet.wakeAt(Date.now() + RETRY_MS);
    }
  }

  /**
   * Finds a worker with room and holds the room: in this region, else in the nearest neighbour that has any, unless the
   * task is pinned. Where there is none now, the task is woken when there may be some here.
   */
  async reserve(wanted: Reserve): Promise<Reserved | NoRoom> {
    const here = await this.reserveHere(wanted);
    if (here !== null) return here;
    const { taskId, units, region, pinned, onlyWorkerId } = wanted;
    this.#fleet.waiting.add({ taskId, units });
    const noRoom: NoRoom = { kind: "noRoom", waiting: this.#fleet.waiting.count };
    if (pinned || onlyWorkerId != null) return noRoom;
    const neighbours = neighboursOf(region, await this.#knownRegions.all(this.env)).slice(0, MAX_NEIGHBOURS);
    for (const neighbour of neighbours) {
      const there = await this.env.REGION.getByName(neighbour)
        .reserveHere({ ...wanted, region: neighbour })
        .catch((thrown: unknown) => warn("a neighbour did not answer", thrown));
      if (there == null) continue;
      this.#fleet.waiting.remove(taskId);
      return there;
    }
    return noRoom;
  }

  /** Finds a worker of this region with room and holds the room. */
  async reserveHere(wanted: Reserve): Promise<Reserved | null> {
    const { sockets, assignments, waiting } = this.#fleet;
    const { taskId, attempt, region, units } = wanted;
    const workerId = place(this.#fleet.candidates(wanted.protocol), wanted, Math.random);
    const chosen = workerId === null ? undefined : sockets.greeted(workerId)?.[1];
    if (chosen === undefined) return null;
    waiting.remove(taskId);
    const sinceMs = Date.now();
    assignments.put({
      taskId,
      attempt,
      units,
      sinceMs,
      workerId: chosen.workerId,
      instanceId: chosen.instanceId,
      dispatched: false,
      confirmed: false,
      releaseAtMs: null,
    });
    await this.#fleet.wakeAt(sinceMs + CHECK_RESERVATION_AFTER_MS);
    return { kind: "reserved", workerId: chosen.workerId, region };
  }

  /** Hands a task to the worker that was reserved for it. False: the worker is not there any more. */
  dispatch(order: Omit<EdgeFrameOf<"dispatch">, "type"> & AttemptRef): boolean {
    const { sockets, assignments } = this.#fleet;
    const { workerId, request, ...dispatch } = order;
    const assignment = assignments.match(dispatch.taskId, dispatch.attempt, workerId);
    const socket = sockets.ofWorker(workerId);
    if (assignment === undefined || socket === undefined || this.#fleet.drained.has(workerId)) {
      this.forget(dispatch.taskId, dispatch.attempt);
      return false;
    }
    assignments.put({ ...assignment, dispatched: true });
    sockets.send(socket, { type: "dispatch", ...dispatch, request: requestForWorker(request) });
    return true;
  }

  /** Tells a worker to end a task. A worker that is away is told when it is back. */
  stopTask({ workerId, ...stop }: Omit<EdgeFrameOf<"stop">, "type"> & AttemptRef): void {
    const { sockets, assignments } = this.#fleet;
    const socket = sockets.ofWorker(workerId);
    if (socket !== undefined) return sockets.send(socket, { type: "stop", ...stop });
    const assignment = assignments.match(stop.taskId, stop.attempt, workerId);
    if (assignment !== undefined) this.#fleet.doubt(assignment);
  }

  /** Asks a worker to change a push. */
  updateTask({ workerId, ...update }: Omit<EdgeFrameOf<"update">, "type"> & AttemptRef): "asked" | "away" | "tooOld" {
    const [socket, state] = this.#fleet.sockets.greeted(workerId) ?? [];
    if (socket === undefined || state === undefined) return "away";
    // It would close its socket at such a frame.
    if (state.protocol < requiredProtocolOfUpdate(update.change)) return "tooOld";
    this.#fleet.sockets.send(socket, { type: "update", ...update });
    return "asked";
  }

  /** The task needs nothing of this region any more in this attempt. */
  forget(taskId: string, attempt: number): void {
    this.#fleet.waiting.remove(taskId);
    this.#fleet.unassign(taskId, attempt);
  }

  /** Whether a worker has the task, or is expected back with it. */
  holds(taskId: string, attempt: number): boolean {
    return this.#fleet.assignments.get(taskId)?.attempt === attempt;
  }

  /** Whether this worker has reported this attempt, or is expected back, after a restart of the edge, to do so. */
  answersFor(taskId: string, { attempt, workerId }: AttemptRef): boolean {
    const { assignments, expected } = this.#fleet;
    const assignment = assignments.match(taskId, attempt, workerId);
    if (assignment === undefined) return false;
    return (
      assignment.confirmed || (assignment.dispatched && expected.has(workerId, this.#fleet.returnTime(Date.now())))
    );
  }

  /** The newest progress that a worker has reported of this attempt. */
  progress(taskId: string, attempt: number): Progress | null {
    return this.#fleet.progress.newest(taskId, attempt);
  }

  /** Ends a worker's connections, because its token holds no more. Its tasks go the way of a lost worker's. */
  async disconnect(workerId: string, reason: string): Promise<void> {
    for (const [socket, state] of this.#fleet.sockets.all()) {
      if (state.phase === "gone" || state.workerId !== workerId) continue;
      await this.#fleet.drop(socket, CLOSE.unauthorized, reason);
    }
  }

  /** Who could take a task: `returningMs` for how much longer workers are expected back after a restart, 0: none are. */
  outlook(): { workers: number; returningMs: number } {
    const { sockets, expected } = this.#fleet;
    return { workers: sockets.ready().length, returningMs: expected.leftMs(this.#fleet.returnTime(Date.now())) };
  }

  /** @param apps whose part of the fleet is shown; not said, by an older edge: the whole */
  workers(region: string, apps: AppScope = "*"): WorkerList["workers"] {
    return showWorkers(this.#fleet, region, apps);
  }

  /** The tasks that this region's workers have, with what they last said of them. */
  heldTasks(): HeldTask[] {
    const { assignments, progress } = this.#fleet;
    return assignments.all().map(({ taskId, attempt, workerId }) => ({
      taskId,
      workerId,
      state: progress.newestReport(taskId, attempt)?.state ?? "starting",
    }));
  }

  /** Workers that were lost within the last hour, the newest first. */
  lostWorkers(region: string): WorkerList["lost"] {
    return showLostWorkers(this.#fleet, region);
  }

  summary(region: string, apps: AppScope = "*"): RegionList["regions"][number] {
    return showRegion(this.#fleet, region, apps);
  }

  /**
   * Takes a worker out of service: it gets no new tasks and hands over what it has; it stays connected, and stays
   * drained when it dials again. False: no such worker is connected.
   */
  drain(workerId: string): boolean {
    if (this.#fleet.sockets.greeted(workerId) === undefined) return false;
    this.#fleet.drained.add(workerId);
    this.#fleet.handOver(workerId);
    return true;
  }

  /** Puts a worker back into service. False: it was not drained. */
  undrain(workerId: string): boolean {
    const was = this.#fleet.drained.remove(workerId);
    if (was) this.#fleet.wakeWaiting();
    return was;
  }
}
