import { OLDEST_PROTOCOL_VERSION, type TaskReport } from "@roomcast/shared";
import { type Config, readConfig } from "../../base/config.ts";
import { migrate } from "../../base/migrate.ts";
import type { Env } from "../../contracts/env.ts";
import { type Assignment, Assignments } from "./assignments.ts";
import type { Candidate } from "./choose-worker.ts";
import { DrainedWorkers } from "./drained-workers.ts";
import { ExpectedWorkers, type ReturnTime } from "./expected-workers.ts";
import { LatestReports } from "./latest-reports.ts";
import { LostWorkers } from "./lost-workers.ts";
import { MeasuredLoads } from "./measured-loads.ts";
import { PacedChecks } from "./paced-checks.ts";
import { REGION_TABLES } from "./region-tables.ts";
import { TaskMessenger } from "./task-messenger.ts";
import { WaitingTasks } from "./waiting-tasks.ts";
import { type GreetedSocket, type ReadySocket, WorkerSockets } from "./worker-sockets.ts";

/** The first version whose workers give a task back when they are asked to. */
const PROTOCOL_WITH_RELEASE = 2;

/** Tasks of lost workers are released at most 200 a second, as they are compared after hellos. */
const CHECK_GAP_MS = 5;

/** What a region knows, and the few changes of it that its parts have in common. */
export class RegionState {
  readonly env: Env;
  readonly sockets: WorkerSockets;
  readonly assignments: Assignments;
  readonly waiting: WaitingTasks;
  readonly drained: DrainedWorkers;
  readonly expected: ExpectedWorkers;
  readonly lostWorkers: LostWorkers;
  readonly reports = new LatestReports();
  /** A figure counts for as long as a worker may be silent. */
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
    this.lostWorkers = new LostWorkers(ctx.storage.sql);
    this.expected = new ExpectedWorkers(ctx.storage.sql, this.sockets.greetedIds(), Date.now());
    this.tasks = new TaskMessenger(env);
    this.checks = new PacedChecks((promise) => ctx.waitUntil(promise), CHECK_GAP_MS);
    void ctx.blockConcurrencyWhile(async () => {
      this.#alarmAtMs = (await ctx.storage.getAlarm()) ?? Number.POSITIVE_INFINITY;
      // What is due may have been due while the object was away.
      const isExpecting = this.expected.leftMs(this.returnTime(Date.now())) > 0;
      if (isExpecting || this.sockets.all().length + this.assignments.all().length > 0) await this.wakeAt(Date.now());
    });
  }

  get config(): Config {
    return readConfig(this.env);
  }

  /** By which it is told who is expected back. */
  returnTime(nowMs: number): ReturnTime {
    return { nowMs, returnMs: this.config.workerReturnMs };
  }

  /** There is one alarm: it is moved only to come earlier. */
  async wakeAt(atMs: number): Promise<void> {
    if (atMs >= this.#alarmAtMs) return;
    this.#alarmAtMs = atMs;
    await this.#ctx.storage.setAlarm(atMs);
  }

  /** The alarm has come; there is none now. @returns how late it came, ms; 0 in a new life of the object. */
  alarmCame(): number {
    const lateMs = Date.now() - this.#alarmAtMs;
    this.#alarmAtMs = Number.POSITIVE_INFINITY;
    return Math.max(0, lateMs);
  }

  /** Connected workers. */
  workers(): (ReadySocket & Candidate)[] {
    const nowMs = Date.now();
    const busyFrom = this.config.busyCpuPercent / 100;
    return this.sockets.ready().map((socket) => {
      const worker = { ...socket, usedUnits: this.usedUnits(socket), draining: this.isDraining(socket) };
      const cpuLoad = this.measured.expected(worker, nowMs);
      return { ...worker, cpuLoad, busy: busyFrom > 0 && cpuLoad !== null && cpuLoad >= busyFrom };
    });
  }

  /** Connected workers of this protocol version or a newer one. */
  candidates(protocol: number): Candidate[] {
    return this.workers().filter((worker) => worker.protocol >= protocol);
  }

  /** What a worker carries and what is reserved on it. */
  usedUnits({ workerId, loadUnits }: Pick<GreetedSocket, "workerId" | "loadUnits">): number {
    return loadUnits + this.assignments.reservedUnits(workerId);
  }

  /** Notes how busy a worker says that its CPU is, if it says so. */
  measure(worker: GreetedSocket, cpu: number | undefined): void {
    if (cpu === undefined) return;
    this.measured.note({ ...worker, usedUnits: this.usedUnits(worker) }, cpu, Date.now());
  }

  /** Whether it gets no new tasks: it leaves, or an operator has taken it out of service. */
  isDraining({ workerId, draining }: Pick<GreetedSocket, "workerId" | "draining">): boolean {
    return draining || this.drained.has(workerId);
  }

  /** Asks a worker for all of its tasks back, so that others go on with them. One of protocol 1 plays them out. */
  requestRelease(workerId: string): void {
    const [socket, state] = this.sockets.greeted(workerId) ?? [];
    if (socket === undefined || state === undefined || state.protocol < PROTOCOL_WITH_RELEASE) return;
    for (const { taskId, attempt, dispatched } of this.assignments.ofWorker(workerId)) {
      if (dispatched) this.sockets.send(socket, { type: "release", taskId, attempt, reason: "the worker is drained" });
    }
  }

  /** A task that is on this worker for certain. */
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

  /** From now on the task itself is asked before a worker that says it runs this attempt may keep it. */
  doubt(assignment: Assignment): void {
    this.assignments.put({ ...assignment, units: 0, openingUnits: 0, confirmed: false });
  }

  /** The attempt is over. That the task may wait for a place for its next one already is not touched. */
  unassign(taskId: string, attempt: number): void {
    if (this.assignments.remove(taskId, attempt)) this.reports.remove(taskId);
    this.wakeWaiting();
  }

  /** A worker's attempt is over. What another worker has, or has said, stays. */
  unassignFrom(workerId: string, taskId: string, attempt: number): void {
    if (this.assignments.removeOf(workerId, taskId, attempt)) this.reports.remove(taskId);
    this.wakeWaiting();
  }

  /** Gives a task that its worker has lost back to its Task object. */
  async release(assignment: Assignment): Promise<void> {
    const { taskId, attempt, workerId, dispatched } = assignment;
    // The task may know that it is released before this region does, or after this object has died.
    this.doubt(assignment);
    const { progress = null, plan = null } = this.reports.known(taskId, attempt) ?? {};
    const reason = `Worker ${workerId} was lost.`;
    const event = { type: "released", reason, progress, plan, dispatched } as const;
    await this.tasks.workerEvent(taskId, { attempt, workerId }, event);
    this.unassignFrom(workerId, taskId, attempt);
  }

  /** The socket has ended; its tasks are given back after the grace, at once if the worker was leaving. */
  async lost(socket: WebSocket): Promise<void> {
    const state = this.sockets.get(socket);
    this.sockets.remove(socket);
    if (state === undefined || state.phase === "gone" || state.phase === "greeting") return;
    this.measured.forget(state.workerId);
    const releaseAtMs = Date.now() + (state.draining ? 0 : this.config.workerGraceMs);
    if (this.sockets.ofWorker(state.workerId) === undefined) this.expected.leaves(state.workerId, releaseAtMs);
    // Who has dialled again already is not lost.
    if (!state.draining && this.sockets.ofWorker(state.workerId) === undefined) {
      const tasks = this.assignments.ofWorker(state.workerId).length;
      this.lostWorkers.add({ workerId: state.workerId, version: state.version, lostAtMs: Date.now(), tasks });
    }
    const orphans = this.assignments.ofWorker(state.workerId).filter((assignment) => assignment.releaseAtMs === null);
    for (const assignment of orphans) this.assignments.put({ ...assignment, releaseAtMs });
    await this.wakeAt(releaseAtMs);
  }

  /** Closes a socket that has done wrong; its tasks go the way of a lost worker's. */
  async drop(socket: WebSocket, code: number, reason: string): Promise<void> {
    const state = this.sockets.get(socket);
    await this.lost(socket);
    if (state !== undefined) this.sockets.close(socket, code, reason);
  }

  /** Wakes as many waiting tasks as may find room now. */
  wakeWaiting(): void {
    if (this.waiting.isEmpty) return;
    const freeUnits = this.candidates(OLDEST_PROTOCOL_VERSION)
      .filter(({ draining }) => !draining)
      .map(({ capacityUnits, usedUnits }) => capacityUnits - usedUnits);
    for (const { taskId } of this.waiting.wake(freeUnits, Date.now())) this.#ctx.waitUntil(this.tasks.wake(taskId));
  }
}
