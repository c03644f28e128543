import { DurableObject } from "cloudflare:workers";
import { CLOSE, type RegionList, requestForWorker, requiredProtocolOfUpdate, type WorkerList } from "@roomcast/shared";
import { warn } from "../../base/warn.ts";
import { KnownRegions } from "../../caches/known-regions.ts";
import type { Env } from "../../contracts/env.ts";

import {
  type DispatchOrder,
  type KnownReport,
  type NoRoom,
  REGION_HEADER,
  type RegionObject,
  type Reserve,
  type Reserved,
  type StopOrder,
  type UpdateOrder,
  WORKER_ID_HEADER,
} from "../../contracts/region-object.ts";
import type { AttemptRef } from "../../contracts/task-object.ts";
import type { AppScope } from "../../model/app-scope.ts";
import type { HeldTask } from "../../model/held-condition.ts";
import { neighboursOf } from "../../model/region-distance.ts";
import { chooseWorker } from "./choose-worker.ts";
import { WorkerGreeter } from "./greet-worker.ts";
import { handleAlarm } from "./handle-alarm.ts";
import { handleFrame } from "./handle-frame.ts";
import { readFrame } from "./read-frame.ts";
import { RegionState, TRY_AGAIN_LATER } from "./region-state.ts";
import { CHECK_RESERVATION_AFTER_MS } from "./release-lost-tasks.ts";
import { showLostWorkers, showRegion, showWorkers } from "./show-workers.ts";
import type { GreetedSocket } from "./worker-sockets.ts";

const RETRY_MS = 1000;

/**
 * The most sockets of one worker that may be without a hello. An honest worker has one, or two if the first broke
 * unnoticed. The oldest is closed before another one is accepted, so that a stolen token cannot fill the region with
 * sockets.
 */
const MAX_UNGREETED = 3;

/** The number of nearest neighbour regions that are asked for a worker. */
const MAX_NEIGHBOURS = 4;

/**
 * The workers of one region. The region places tasks on them and passes messages; the Task objects own the tasks'
 * states.
 */
export class Region extends DurableObject<Env> implements RegionObject {
  readonly #regionState = new RegionState(this.ctx, this.env);
  readonly #greeter = new WorkerGreeter(this.#regionState);
  readonly #knownRegions = new KnownRegions();

  /** Accepts a worker's WebSocket. */
  override async fetch(request: Request): Promise<Response> {
    const workerId = request.headers.get(WORKER_ID_HEADER) ?? "";
    const region = request.headers.get(REGION_HEADER) ?? "";
    const { 0: client, 1: server } = new WebSocketPair();
    const deadlineMs = Date.now() + this.#regionState.config.helloTimeoutMs;
    for (const older of this.#regionState.sockets.ungreeted(workerId).slice(0, 1 - MAX_UNGREETED)) {
      await this.#regionState.drop(older, TRY_AGAIN_LATER, "The worker has connected again before its hello.");
    }
    this.#regionState.sockets.accept(server, { phase: "greeting", workerId, region, deadlineMs });
    await this.#regionState.wakeAt(deadlineMs);
    return new Response(null, { status: 101, webSocket: client });
  }

  override async webSocketMessage(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
    const regionState = this.#regionState;
    const state = regionState.sockets.get(socket);
    if (state === undefined || state.phase === "gone") return;
    if (state.phase !== "greeting") {
      const length = typeof data === "string" ? data.length : data.byteLength;
      if (!regionState.frames.takeFrame(state.workerId, length, Date.now())) return regionState.dropLoud(socket);
    }
    const read = readFrame(data);
    if (read.kind === "refused") return regionState.drop(socket, read.code, read.reason);
    const { frame } = read;
    if (state.phase === "greeting") {
      if (frame.type === "hello") return this.#greeter.greet(socket, state, frame);
      return regionState.drop(socket, CLOSE.malformedFrame, "The first frame must be a hello.");
    }
    const greeted: GreetedSocket = { ...state, lastSeenMs: Date.now() };
    regionState.sockets.set(socket, greeted);
    return handleFrame(regionState, socket, greeted, frame);
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    await this.#regionState.lost(socket);
    // The runtime does not answer a close frame on a hibernating socket, and the worker would wait for the answer.
    this.#regionState.sockets.answerClose(socket, code);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    await this.#regionState.lost(socket);
  }

  override async alarm(): Promise<void> {
    try {
      await handleAlarm(this.#regionState);
    } catch (thrown) {
      // The runtime gives up an alarm that throws repeatedly, and all deadlines of the region would then be lost.
      warn("handling the region's deadlines failed", thrown);
      await this.#regionState.wakeAt(Date.now() + RETRY_MS);
    }
  }

  /**
   * Finds a worker with enough free units and reserves the task's units on it. The worker is in this region or, if the
   * task is not pinned, in the nearest neighbour that has such a worker. If there is no such worker, the task waits,
   * and is woken when this region may have free units.
   */
  async reserve(wanted: Reserve): Promise<Reserved | NoRoom> {
    const here = await this.reserveHere(wanted);
    if (here !== null) return here;
    const { taskId, units, region, pinned, onlyWorkerId } = wanted;
    this.#regionState.waiting.add({ taskId, units });
    const noRoom: NoRoom = { kind: "noRoom", waiting: this.#regionState.waiting.count };
    if (pinned || onlyWorkerId != null) return noRoom;
    const neighbours = neighboursOf(region, await this.#knownRegions.all(this.env)).slice(0, MAX_NEIGHBOURS);
    for (const neighbour of neighbours) {
      const there = await this.env.REGION.getByName(neighbour)
        .reserveHere({ ...wanted, region: neighbour })
        .catch((thrown: unknown) => warn("a neighbour did not answer", thrown));
      if (there == null) continue;
      this.#regionState.waiting.remove(taskId);
      return there;
    }
    return noRoom;
  }

  /**
   * Finds a worker of this region with enough free units and reserves the task's units on it. Returns null if there is
   * no such worker.
   */
  async reserveHere(wanted: Reserve): Promise<Reserved | null> {
    const { sockets, assignments, waiting } = this.#regionState;
    const { taskId, attempt, region, units, unopenedUnits = units } = wanted;
    const workerId = chooseWorker(this.#regionState.candidates(wanted.protocol), wanted, Math.random);
    const chosen = workerId === null ? undefined : sockets.greeted(workerId)?.[1];
    if (chosen === undefined) return null;
    waiting.remove(taskId);
    const sinceMs = Date.now();
    assignments.put({
      taskId,
      attempt,
      units,
      openingUnits: Math.max(0, units - unopenedUnits),
      sinceMs,
      workerId: chosen.workerId,
      instanceId: chosen.instanceId,
      dispatched: false,
      confirmed: false,
      releaseAtMs: null,
    });
    await this.#regionState.wakeAt(sinceMs + CHECK_RESERVATION_AFTER_MS);
    return { kind: "reserved", workerId: chosen.workerId, region };
  }

  /**
   * Sends a task to the worker on which its units are reserved. Returns false if the worker does not get the task,
   * because it has left or is drained, or because the reservation is gone.
   */
  dispatch(order: DispatchOrder): boolean {
    const { sockets, assignments } = this.#regionState;
    const { workerId, request, ...dispatch } = order;
    const assignment = assignments.match(dispatch.taskId, dispatch.attempt, workerId);
    const socket = sockets.ofWorker(workerId);
    if (assignment === undefined || socket === undefined || this.#regionState.drained.has(workerId)) {
      this.forget(dispatch.taskId, dispatch.attempt);
      return false;
    }
    assignments.put({ ...assignment, dispatched: true });
    sockets.send(socket, { type: "dispatch", ...dispatch, request: requestForWorker(request) });
    return true;
  }

  /** Asks a worker to end a task. A worker that is not connected is asked when it is connected again. */
  stopTask({ workerId, ...stop }: StopOrder): void {
    const { sockets, assignments } = this.#regionState;
    const socket = sockets.ofWorker(workerId);
    if (socket !== undefined) return sockets.send(socket, { type: "stop", ...stop });
    const assignment = assignments.match(stop.taskId, stop.attempt, workerId);
    if (assignment !== undefined) this.#regionState.doubt(assignment);
  }

  /**
   * Asks a worker to change a push. Returns `away` if the worker is not connected, and `tooOld` if its protocol version
   * does not have this change.
   */
  updateTask({ workerId, ...update }: UpdateOrder): "asked" | "away" | "tooOld" {
    const [socket, state] = this.#regionState.sockets.greeted(workerId) ?? [];
    if (socket === undefined || state === undefined) return "away";
    // A worker of an older version would close its socket if it got such a frame.
    if (state.protocol < requiredProtocolOfUpdate(update.change)) return "tooOld";
    this.#regionState.sockets.send(socket, { type: "update", ...update });
    return "asked";
  }

  /** Forgets a task's attempt, which no longer needs anything from this region. */
  forget(taskId: string, attempt: number): void {
    this.#regionState.waiting.remove(taskId);
    this.#regionState.unassign(taskId, attempt);
  }

  /** Returns true if a worker has the task or is expected back with it. */
  holds(taskId: string, attempt: number): boolean {
    return this.#regionState.assignments.get(taskId)?.attempt === attempt;
  }

  /**
   * Returns true if this worker has reported this attempt, or is expected to do so when it comes back after a restart
   * of the edge.
   */
  answersFor(taskId: string, { attempt, workerId }: AttemptRef): boolean {
    const { assignments, expected } = this.#regionState;
    const assignment = assignments.match(taskId, attempt, workerId);
    if (assignment === undefined) return false;
    return (
      assignment.confirmed ||
      (assignment.dispatched && expected.has(workerId, this.#regionState.returnTime(Date.now())))
    );
  }

  /** Returns the newest report of a worker on this attempt; null if there is none. */
  newestReport(taskId: string, attempt: number): KnownReport | null {
    return this.#regionState.reports.known(taskId, attempt);
  }

  /**
   * Closes a worker's connections, because its token is no longer valid. The worker's tasks are released like those of
   * a lost worker.
   */
  async disconnect(workerId: string, reason: string): Promise<void> {
    for (const [socket, state] of this.#regionState.sockets.all()) {
      if (state.phase === "gone" || state.workerId !== workerId) continue;
      await this.#regionState.drop(socket, CLOSE.unauthorized, reason);
    }
  }

  /**
   * Returns how many workers could take a task, and for how much longer others are expected back after a restart (0 if
   * none are).
   */
  outlook(): { workers: number; returningMs: number } {
    const { sockets, expected } = this.#regionState;
    return { workers: sockets.ready().length, returningMs: expected.leftMs(this.#regionState.returnTime(Date.now())) };
  }

  /**
   * Returns the workers of this region.
   *
   * @param apps the applications whose part of the fleet is shown; an older edge does not send this argument and gets
   *   the whole fleet
   */
  workers(region: string, apps: AppScope = "*"): WorkerList["workers"] {
    return showWorkers(this.#regionState, region, apps);
  }

  /** Returns the tasks that this region's workers have, with the states that they reported last. */
  heldTasks(): HeldTask[] {
    const { assignments, reports } = this.#regionState;
    return assignments.all().map(({ taskId, attempt, workerId }) => ({
      taskId,
      workerId,
      state: reports.newestReport(taskId, attempt)?.state ?? "starting",
    }));
  }

  /** Returns the workers that were lost within the last hour, newest first. */
  lostWorkers(region: string): WorkerList["lost"] {
    return showLostWorkers(this.#regionState, region);
  }

  summary(region: string, apps: AppScope = "*"): RegionList["regions"][number] {
    return showRegion(this.#regionState, region, apps);
  }

  /**
   * Takes a worker out of service. It gets no new tasks and hands over those it has. It stays connected, and it stays
   * drained when it connects again. Returns false if no such worker is connected.
   */
  drain(workerId: string): boolean {
    if (this.#regionState.sockets.greeted(workerId) === undefined) return false;
    this.#regionState.drained.add(workerId);
    this.#regionState.requestRelease(workerId);
    return true;
  }

  /** Puts a worker back into service. Returns false if it was not drained. */
  undrain(workerId: string): boolean {
    const was = this.#regionState.drained.remove(workerId);
    if (was) this.#regionState.wakeWaiting();
    return was;
  }
}
