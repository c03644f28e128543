import { OLDEST_PROTOCOL_VERSION, type TaskReport } from "@roomcast/shared";
import { type Config, readConfig } from "../../base/config.ts";
import { migrate } from "../../base/migrate.ts";
import type { Env } from "../../contracts/env.ts";
import { type Assignment, Assignments } from "./assignments.ts";
import type { Candidate } from "./choose-worker.ts";
import { DrainedWorkers } from "./drained-workers.ts";
import { ExpectedWorkers, type ReturnTime } from "./expected-workers.ts";
import { FrameBudget } from "./frame-budget.ts";
import { LatestReports } from "./latest-reports.ts";
import { LostWorkerList } from "./lost-worker-list.ts";
import { MeasuredLoads } from "./measured-loads.ts";
import { PacedChecks } from "./paced-checks.ts";
import { REGION_TABLES } from "./region-tables.ts";
import { TaskMessenger } from "./task-messenger.ts";
import { WaitingTasks } from "./waiting-tasks.ts";
import { type GreetedSocket, type ReadySocket, WorkerSockets } from "./worker-sockets.ts";

/** The first protocol version whose workers give a task back when they are asked to. */
const PROTOCOL_WITH_RELEASE = 2;

/**
 * The gap between checks or releases of tasks, so that there are at most 200 a second. Tasks are compared at the same
 * rate after hellos.
 */
const CHECK_GAP_MS = 5;

/** The WebSocket close code "try again later" (1013 in the registry of RFC 6455). */
export const TRY_AGAIN_LATER = 1013;

/** The state of a region, and the changes of this state that several parts of the region make. */
export class RegionState {
  readonly env: Env;
  readonly sockets: WorkerSockets;
  readonly assignments: Assignments;
  readonly waiting: WaitingTasks;
  readonly drained: DrainedWorkers;
  readonly expected: ExpectedWorkers;
  readonly lostWorkers: LostWorkerList;
  readonly reports = new LatestReports();
  readonly frames = new FrameBudget();
  /** The CPU loads of the workers. A load is valid for as long as a worker may be silent. */
  readonly measured = new MeasuredLoads(() => this.config.heartbeatTimeoutMs);
  readonly tasks: TaskMessenger;
  readonly checks: PacedChecks;
  readonly #ctx: DurableObjectState;
  #alarmAtMs = Number.POSITIVE_INFINITY;

  constructor(ctx: DurableObjectState, env: Env) {
    this.#ctx = ctx;
    this.env = env;
    migrate(ctx.storage, REGION_TABLES);
    this.sockets = new WorkerSockets(ctx);
    this.assignments = new Assignments(ctx.storage.sql);
    this.waiting = new WaitingTasks(ctx.storage.sql);
    this.drained = new DrainedWorkers(ctx.storage.sql);
    this.lostWorkers = new LostWorkerList(ctx.storage.sql);
    this.expected = new ExpectedWorkers(ctx.storage.sql, this.sockets.greetedIds(), Date.now());
    this.tasks = new TaskMessenger(env);
    this.checks = new PacedChecks((promise) => ctx.waitUntil(promise), CHECK_GAP_MS);
    void ctx.blockConcurrencyWhile(async () => {
      this.#alarmAtMs = (await ctx.storage.getAlarm()) ?? Number.POSITIVE_INFINITY;
      // Deadlines may have passed while this object was evicted, so they are checked right away.
      const isExpecting = this.expected.leftMs(this.returnTime(Date.now())) > 0;
      if (isExpecting || this.sockets.all().length + this.assignments.all().length > 0) await this.wakeAt(Date.now());
    });
  }

  get config(): Config {
    return readConfig(this.env);
  }

  /** Returns the time and the limit by which the region decides which workers are expected back. */
  returnTime(nowMs: number): ReturnTime {
    return { nowMs, returnMs: this.config.workerReturnMs };
  }

  /**
   * Makes sure that the alarm comes at this time or earlier. An object has one alarm, so the alarm is only moved to an
   * earlier time.
   */
  async wakeAt(atMs: number): Promise<void> {
    if (atMs >= this.#alarmAtMs) return;
    this.#alarmAtMs = atMs;
    await this.#ctx.storage.setAlarm(atMs);
  }

  /**
   * Called when the alarm has come. Returns how late the alarm came, ms; 0 if this object was created for it and does
   * not know its time.
   */
  alarmCame(): number {
    const lateMs = Date.now() - this.#alarmAtMs;
    this.#alarmAtMs = Number.POSITIVE_INFINITY;
    return Math.max(0, lateMs);
  }

  /** Returns the connected workers that are ready for tasks. */
  workers(): (ReadySocket & Candidate)[] {
    const nowMs = Date.now();
    const busyFrom = this.config.busyCpuPercent / 100;
    return this.sockets.ready().map((socket) => {
      const worker = { ...socket, usedUnits: this.usedUnits(socket), draining: this.isDraining(socket) };
      const cpuLoad = this.measured.expected(worker, nowMs);
      return { ...worker, cpuLoad, busy: busyFrom > 0 && cpuLoad !== null && cpuLoad >= busyFrom };
    });
  }

  /** Returns the workers that are ready for tasks and speak this protocol version or a newer one. */
  candidates(protocol: number): Candidate[] {
    return this.workers().filter((worker) => worker.protocol >= protocol);
  }

  /** Returns a worker's reported load plus the units that are reserved on it. */
  usedUnits({ workerId, loadUnits }: Pick<GreetedSocket, "workerId" | "loadUnits">): number {
    return loadUnits + this.assignments.reservedUnits(workerId);
  }

  /** Stores the CPU load that a worker reports, if it reports one. */
  measure(worker: GreetedSocket, cpu: number | undefined): void {
    if (cpu === undefined) return;
    this.measured.note({ ...worker, usedUnits: this.usedUnits(worker) }, cpu, Date.now());
  }

  /** Returns true if the worker gets no new tasks, because it is leaving or an operator drains it. */
  isDraining({ workerId, draining }: Pick<GreetedSocket, "workerId" | "draining">): boolean {
    return draining || this.drained.has(workerId);
  }

  /**
   * Asks a worker to release all of its tasks, so that other workers continue them. A worker of protocol 1 is not
   * asked, and plays its tasks to the end.
   */
  requestRelease(workerId: string): void {
    const [socket, state] = this.sockets.greeted(workerId) ?? [];
    if (socket === undefined || state === undefined || state.protocol < PROTOCOL_WITH_RELEASE) return;
    for (const { taskId, attempt, dispatched } of this.assignments.ofWorker(workerId)) {
      if (dispatched) this.sockets.send(socket, { type: "release", taskId, attempt, reason: "the worker is drained" });
    }
  }

  /** Assigns a task to the worker that has reported it. The caller has checked that the worker may have the task. */
  adopt({ taskId, attempt, state, plan }: TaskReport, workerId: string, instanceId: string): void {
    const known = this.assignments.match(taskId, attempt, workerId);
    const isOpening = state === "starting" && plan === null;
    const openingUnits = isOpening ? (known?.openingUnits ?? 0) : 0;
    const isAdopted = known?.confirmed === true && known.releaseAtMs === null && known.instanceId === instanceId;
    if (isAdopted && known.openingUnits === openingUnits) return;
    this.assignments.put({
      units: 0,
      sinceMs: Date.now(),
      ...known,
      taskId,
      attempt,
      workerId,
      instanceId,
      openingUnits,
      dispatched: true,
      confirmed: true,
      releaseAtMs: null,
    });
  }

  /**
   * Marks an assignment as unconfirmed, so that the next worker that claims this attempt is checked against the Task
   * first.
   */
  doubt(assignment: Assignment): void {
    this.assignments.put({ ...assignment, units: 0, openingUnits: 0, confirmed: false });
  }

  /**
   * Removes the assignment of an attempt that is over. If the task already waits for its next attempt, it keeps
   * waiting.
   */
  unassign(taskId: string, attempt: number): void {
    if (this.assignments.remove(taskId, attempt)) this.reports.remove(taskId);
    this.wakeWaiting();
  }

  /** Removes a worker's assignment of an attempt that is over. Assignments and reports of other workers stay. */
  unassignFrom(workerId: string, taskId: string, attempt: number): void {
    if (this.assignments.removeOf(workerId, taskId, attempt)) this.reports.remove(taskId);
    this.wakeWaiting();
  }

  /** Releases a task whose worker is lost. */
  async release(assignment: Assignment): Promise<void> {
    const { taskId, attempt, workerId, dispatched } = assignment;
    // The assignment is marked as unconfirmed first, because the task may learn of its release before this region gets
    // the answer, or although this object dies meanwhile.
    this.doubt(assignment);
    const { progress = null, plan = null } = this.reports.known(taskId, attempt) ?? {};
    const reason = `Worker ${workerId} was lost.`;
    const event = { type: "released", reason, progress, plan, dispatched } as const;
    await this.tasks.workerEvent(taskId, { attempt, workerId }, event);
    this.unassignFrom(workerId, taskId, attempt);
  }

  /**
   * Handles the end of a socket. The worker's tasks are released after the grace, or at once if the worker was leaving.
   */
  async lost(socket: WebSocket): Promise<void> {
    const state = this.sockets.get(socket);
    this.sockets.remove(socket);
    if (state === undefined || state.phase === "gone" || state.phase === "greeting") return;
    this.measured.forget(state.workerId);
    const releaseAtMs = Date.now() + (state.draining ? 0 : this.config.workerGraceMs);
    if (this.sockets.ofWorker(state.workerId) === undefined) this.expected.leaves(state.workerId, releaseAtMs);
    // A worker counts as lost unless it was leaving or has already connected again.
    if (!state.draining && this.sockets.ofWorker(state.workerId) === undefined) {
      const tasks = this.assignments.ofWorker(state.workerId).length;
      this.lostWorkers.add({ workerId: state.workerId, version: state.version, lostAtMs: Date.now(), tasks });
    }
    const orphans = this.assignments.ofWorker(state.workerId).filter((assignment) => assignment.releaseAtMs === null);
    for (const assignment of orphans) this.assignments.put({ ...assignment, releaseAtMs });
    await this.wakeAt(releaseAtMs);
  }

  /**
   * Closes a worker's socket, for example because the worker broke the protocol. Its tasks are released like those of a
   * lost worker.
   */
  async drop(socket: WebSocket, code: number, reason: string): Promise<void> {
    const state = this.sockets.get(socket);
    await this.lost(socket);
    if (state !== undefined) this.sockets.close(socket, code, reason);
  }

  /** Closes the socket of a worker that sends more frames than its budget allows. */
  async dropLoud(socket: WebSocket): Promise<void> {
    await this.drop(socket, TRY_AGAIN_LATER, "The worker says more than the edge can hear.");
  }

  /** Wakes as many waiting tasks as may fit into the free units of the workers. */
  wakeWaiting(): void {
    if (this.waiting.isEmpty) return;
    const freeUnits = this.candidates(OLDEST_PROTOCOL_VERSION)
      .filter(({ draining }) => !draining)
      .map(({ capacityUnits, usedUnits }) => capacityUnits - usedUnits);
    for (const { taskId } of this.waiting.wake(freeUnits, Date.now())) this.#ctx.waitUntil(this.tasks.wake(taskId));
  }
}
