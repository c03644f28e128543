import { DurableObject } from "cloudflare:workers";
import {
  CLOSE,
  type EdgeFrameOf,
  PROTOCOL_VERSION,
  type TaskReport,
  type WorkerFrameOf,
  type WorkerList,
} from "@roomcast/shared";
import { type Config, readConfig } from "../config.ts";
import { ROOT } from "../directory/directory.ts";
import type { Env } from "../env.ts";
import type { AttemptRef, WorkerEvent } from "../task/decide.ts";
import type { WorkerAnswer } from "../task/task.ts";
import type { Progress } from "../task/task-record.ts";
import { type Assignment, Assignments } from "./assignments.ts";
import { place, type Wanted } from "./place.ts";
import { ProgressBoard } from "./progress-board.ts";
import { readFrame } from "./read-frame.ts";
import { SerialQueue } from "./serial-queue.ts";
import { showWorkers } from "./show-workers.ts";
import { WaitingTasks } from "./waiting-tasks.ts";
import { type GreetedSocket, type SocketState, WorkerSockets } from "./worker-sockets.ts";

/** Headers with which the Worker tells, after it has verified the token, who connects to which region. */
export const WORKER_ID_HEADER = "x-roomcast-worker-id";
export const REGION_HEADER = "x-roomcast-region";

/** A reservation that no report has confirmed for this long is checked against its task. */
const CHECK_RESERVATION_AFTER_MS = 30_000;
const RETRY_MS = 1000;

type Greeting = SocketState & { readonly phase: "greeting" };

export interface Reserve extends Wanted {
  readonly taskId: string;
  readonly attempt: number;
}

/** The workers of one region: it places tasks on them and passes messages; it owns no task's truth. */
export class Region extends DurableObject<Env> {
  readonly #sockets = new WorkerSockets(this.ctx);
  readonly #assignments = new Assignments(this.ctx.storage.sql);
  readonly #waiting = new WaitingTasks(this.ctx.storage.sql);
  readonly #progress = new ProgressBoard();
  /** What is said to one task stays in order. */
  readonly #toTasks = new SerialQueue();
  #alarmAtMs = Number.POSITIVE_INFINITY;
  #announced = false;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(async () => {
      this.#alarmAtMs = (await ctx.storage.getAlarm()) ?? Number.POSITIVE_INFINITY;
      // What is due may have been due while the object was away.
      if (this.#sockets.all().length + this.#assignments.all().length > 0) await this.#wakeAt(Date.now());
    });
  }

  /** The worker socket's upgrade. */
  override async fetch(request: Request): Promise<Response> {
    const workerId = request.headers.get(WORKER_ID_HEADER) ?? "";
    const region = request.headers.get(REGION_HEADER) ?? "";
    const { 0: client, 1: server } = new WebSocketPair();
    const deadlineMs = Date.now() + this.#config().helloTimeoutMs;
    this.#sockets.accept(server, { phase: "greeting", workerId, region, deadlineMs });
    await this.#wakeAt(deadlineMs);
    return new Response(null, { status: 101, webSocket: client });
  }

  override async webSocketMessage(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
    const state = this.#sockets.get(socket);
    if (state === undefined || state.phase === "gone") return;
    const read = readFrame(data);
    if (read.kind === "refused") return this.#drop(socket, read.code, read.reason);
    const { frame } = read;
    if (state.phase === "greeting") {
      if (frame.type !== "hello") return this.#drop(socket, CLOSE.malformedFrame, "The first frame must be a hello.");
      return this.#hello(socket, state, frame);
    }
    const greeted: GreetedSocket = { ...state, lastSeenMs: Date.now() };
    this.#sockets.set(socket, greeted);
    const { workerId } = state;
    switch (frame.type) {
      case "hello":
        return this.#drop(socket, CLOSE.malformedFrame, "A hello comes once.");
      case "report":
        return this.#report(socket, greeted, frame);
      case "accepted":
        return this.#pass(socket, frame.taskId, { attempt: frame.attempt, workerId }, { type: "accepted" });
      case "refused":
        return this.#refused(socket, frame, workerId);
      case "ended":
        return this.#ended(socket, frame, workerId);
      case "logs":
        return this.#toTasks.run(frame.taskId, async () => {
          await this.env.TASK.getByName(frame.taskId)
            .appendLogs({ attempt: frame.attempt, workerId }, frame.lines)
            .catch((thrown: unknown) => warn("log lines lost", thrown));
        });
      case "updated":
        return this.#updated(frame, workerId);
      case "draining":
        this.#sockets.set(socket, { ...greeted, draining: true });
        return;
      default:
        // A word that this edge does not ask for.
        return;
    }
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    await this.#lost(socket);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    await this.#lost(socket);
  }

  /** Finds a worker with room and holds the room. Null: there is none now; the task is woken when there may be. */
  async reserve(wanted: Reserve): Promise<{ readonly workerId: string } | null> {
    const { taskId, attempt, units } = wanted;
    const ready = this.#sockets.ready();
    const candidates = ready.map((worker) => ({
      ...worker,
      usedUnits: worker.loadUnits + this.#assignments.reservedUnits(worker.workerId),
    }));
    const workerId = place(candidates, wanted, Math.random);
    const chosen = ready.find((worker) => worker.workerId === workerId);
    if (chosen === undefined) {
      this.#waiting.add({ taskId, units });
      return null;
    }
    this.#waiting.remove(taskId);
    const sinceMs = Date.now();
    this.#assignments.put({
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
    await this.#wakeAt(sinceMs + CHECK_RESERVATION_AFTER_MS);
    return { workerId: chosen.workerId };
  }

  /** Hands a task to the worker that was reserved for it. False: the worker is not there any more. */
  dispatch(order: Omit<EdgeFrameOf<"dispatch">, "type"> & AttemptRef): boolean {
    const { workerId, ...dispatch } = order;
    const assignment = this.#assignments.match(dispatch.taskId, dispatch.attempt, workerId);
    const socket = this.#sockets.ofWorker(workerId);
    if (assignment === undefined || socket === undefined) {
      this.forget(dispatch.taskId, dispatch.attempt);
      return false;
    }
    this.#assignments.put({ ...assignment, dispatched: true });
    this.#sockets.send(socket, { type: "dispatch", ...dispatch });
    return true;
  }

  /** Tells a worker to end a task. A worker that is away is told when it is back. */
  stopTask({ workerId, ...stop }: Omit<EdgeFrameOf<"stop">, "type"> & AttemptRef): void {
    const socket = this.#sockets.ofWorker(workerId);
    if (socket !== undefined) this.#sockets.send(socket, { type: "stop", ...stop });
  }

  /** Asks a worker to change a push. False: it is not there now. */
  updateTask({ workerId, ...update }: Omit<EdgeFrameOf<"update">, "type"> & AttemptRef): boolean {
    const socket = this.#sockets.ofWorker(workerId);
    if (socket === undefined) return false;
    this.#sockets.send(socket, { type: "update", ...update });
    return true;
  }

  /** The task needs nothing of this region any more in this attempt. */
  forget(taskId: string, attempt: number): void {
    this.#waiting.remove(taskId);
    this.#unassign(taskId, attempt);
  }

  /** Whether a worker has the task, or is expected back with it. */
  holds(taskId: string, attempt: number): boolean {
    return this.#assignments.get(taskId)?.attempt === attempt;
  }

  /** The newest progress that a worker has reported of this attempt. */
  progress(taskId: string, attempt: number): Progress | null {
    return this.#progress.newest(taskId, attempt);
  }

  /** Ends a worker's connections, because its token holds no more. Its tasks go the way of a lost worker's. */
  async disconnect(workerId: string, reason: string): Promise<void> {
    for (const [socket, state] of this.#sockets.all()) {
      if (state.phase !== "gone" && state.workerId === workerId) await this.#drop(socket, CLOSE.unauthorized, reason);
    }
  }

  workerCount(): number {
    return this.#sockets.ready().length;
  }

  workers(region: string): WorkerList["workers"] {
    return showWorkers(this.#sockets.ready(), this.#assignments, region);
  }

  override async alarm(): Promise<void> {
    this.#alarmAtMs = Number.POSITIVE_INFINITY;
    const nowMs = Date.now();
    let nextMs = Number.POSITIVE_INFINITY;
    const later = (atMs: number) => {
      nextMs = Math.min(nextMs, atMs);
    };
    for (const [socket, state] of this.#sockets.all()) {
      const deadlineMs = this.#silentAtMs(state);
      if (deadlineMs > nowMs) later(deadlineMs);
      else await this.#drop(socket, CLOSE.silent, "Nothing was heard of the worker for too long.");
    }
    const checks = this.#assignments.all().map(async (assignment) => {
      later(await this.#checkAssignment(assignment, nowMs).catch((thrown: unknown) => this.#later(thrown)));
    });
    await Promise.all(checks);
    if (nextMs < Number.POSITIVE_INFINITY) await this.#wakeAt(nextMs);
  }

  /** Does what is due for an assignment and says when to look again, Unix ms. */
  async #checkAssignment(assignment: Assignment, nowMs: number): Promise<number> {
    const { taskId, attempt, workerId, releaseAtMs, confirmed, sinceMs } = assignment;
    if (releaseAtMs !== null) {
      if (releaseAtMs > nowMs) return releaseAtMs;
      await this.#release(assignment);
      return Number.POSITIVE_INFINITY;
    }
    if (this.#sockets.ofWorker(workerId) === undefined) {
      // Its socket ended without a word: the runtime itself was restarted.
      const graceMs = nowMs + this.#config().workerGraceMs;
      this.#assignments.put({ ...assignment, releaseAtMs: graceMs });
      return graceMs;
    }
    if (confirmed) return Number.POSITIVE_INFINITY;
    if (sinceMs + CHECK_RESERVATION_AFTER_MS > nowMs) return sinceMs + CHECK_RESERVATION_AFTER_MS;
    if (await this.env.TASK.getByName(taskId).holds({ attempt, workerId })) {
      return nowMs + CHECK_RESERVATION_AFTER_MS;
    }
    this.forget(taskId, attempt);
    return Number.POSITIVE_INFINITY;
  }

  /** Gives a task that its worker has lost back to its Task object. */
  async #release({ taskId, attempt, workerId }: Assignment): Promise<void> {
    const progress = this.#progress.newest(taskId, attempt);
    const reason = `Worker ${workerId} was lost.`;
    await this.#tell(taskId, { attempt, workerId }, { type: "released", reason, progress });
    this.#unassign(taskId, attempt);
  }

  async #hello(socket: WebSocket, greeting: Greeting, hello: WorkerFrameOf<"hello">): Promise<void> {
    const { workerId, region } = greeting;
    if (hello.workerId !== workerId) {
      return this.#drop(socket, CLOSE.unauthorized, "The hello names another worker than the token.");
    }
    if (hello.region !== region) {
      return this.#drop(socket, CLOSE.malformedFrame, "The hello names another region than the address.");
    }
    const nowMs = Date.now();
    for (const [other, state] of this.#sockets.all()) {
      if (other !== socket && state.phase !== "gone" && state.workerId === workerId) {
        this.#sockets.close(other, CLOSE.replaced, "The worker has connected again.");
      }
    }
    const { instanceId, version, capacityUnits, draining } = hello;
    const known = { workerId, instanceId, version, capacityUnits, draining, loadUnits: hello.load.units };
    this.#sockets.set(socket, {
      ...known,
      phase: "reconciling",
      connectedAtMs: nowMs,
      lastSeenMs: nowMs,
      deadlineMs: nowMs + this.#config().helloTimeoutMs,
    });
    try {
      await this.#welcome(socket, region, hello);
    } catch (thrown) {
      warn("hello not answered", thrown);
      // RFC 6455's registry, 1013: try again later.
      await this.#drop(socket, 1013, "The edge could not check the worker's tasks.");
    }
  }

  /** Compares what the worker says it runs with the truth, tells it the outcome, and lets it have new tasks. */
  async #welcome(socket: WebSocket, region: string, hello: WorkerFrameOf<"hello">): Promise<void> {
    const { workerId, instanceId } = hello;
    const config = this.#config();
    if (!this.#announced) {
      await this.env.DIRECTORY.getByName(ROOT).know("region", region);
      this.#announced = true;
    }
    const checked = await Promise.all(hello.running.map((report) => this.#reconcile(report, workerId, instanceId)));
    await this.#missing(workerId, instanceId, new Set(hello.running.map(({ taskId }) => taskId)));
    const state = this.#sockets.get(socket);
    if (state?.phase !== "reconciling") return;
    const { deadlineMs: _deadlineMs, ...rest } = state;
    this.#sockets.set(socket, { ...rest, phase: "ready" });
    const refs = checked.map(({ taskId, attempt, answer }) => ({ taskId, attempt, held: answer.kind === "holds" }));
    this.#sockets.send(socket, {
      type: "welcome",
      protocol: PROTOCOL_VERSION,
      reportIntervalMs: config.reportIntervalMs,
      heartbeatTimeoutMs: config.heartbeatTimeoutMs,
      keep: refs.filter(({ held }) => held).map(({ taskId, attempt }) => ({ taskId, attempt })),
      stop: refs.filter(({ held }) => !held).map(({ taskId, attempt }) => ({ taskId, attempt })),
    });
    for (const { taskId, attempt, answer } of checked) {
      if (answer.kind === "holds" && answer.stop !== null) {
        this.#sockets.send(socket, { type: "stop", taskId, attempt, how: answer.stop.how, reason: answer.stop.reason });
      }
    }
    await this.#wakeAt(Date.now() + config.heartbeatTimeoutMs);
    this.#wakeWaiting();
  }

  /** Asks a task whether the worker that says it runs it still holds it. */
  async #reconcile(report: TaskReport, workerId: string, instanceId: string) {
    const { taskId, attempt } = report;
    const answer = await this.#tell(taskId, { attempt, workerId }, { type: "reported", report });
    if (answer.kind === "holds") this.#adopt(report, workerId, instanceId);
    else this.#assignments.remove(taskId, attempt);
    return { taskId, attempt, answer };
  }

  /** A task that is on this worker for certain. */
  #adopt({ taskId, attempt }: TaskReport, workerId: string, instanceId: string): void {
    const known = this.#assignments.match(taskId, attempt, workerId);
    if (known?.confirmed === true && known.releaseAtMs === null && known.instanceId === instanceId) return;
    this.#assignments.put({
      units: 0,
      sinceMs: Date.now(),
      ...known,
      taskId,
      attempt,
      workerId,
      instanceId,
      dispatched: true,
      confirmed: true,
      releaseAtMs: null,
    });
  }

  /** Tasks that were given to a worker which says hello without them. */
  async #missing(workerId: string, instanceId: string, running: ReadonlySet<string>): Promise<void> {
    for (const assignment of this.#assignments.ofWorker(workerId)) {
      if (running.has(assignment.taskId) || !assignment.dispatched) continue;
      // A new process has lost them. The same process may have ended them while it was away, and says so next.
      const graceMs = assignment.instanceId === instanceId ? this.#config().workerGraceMs : 0;
      const releaseAtMs = Date.now() + graceMs;
      this.#assignments.put({ ...assignment, releaseAtMs });
      await this.#wakeAt(releaseAtMs);
    }
  }

  async #report(socket: WebSocket, state: GreetedSocket, frame: WorkerFrameOf<"report">): Promise<void> {
    const { workerId, instanceId } = state;
    const usedUnits = state.loadUnits + this.#assignments.reservedUnits(workerId);
    this.#sockets.set(socket, { ...state, loadUnits: frame.load.units });
    this.#sockets.send(socket, { type: "heartbeat" });
    const nowMs = Date.now();
    const telling: Promise<void>[] = [];
    for (const report of frame.tasks) {
      const { taskId, attempt } = report;
      const known = this.#assignments.match(taskId, attempt, workerId) !== undefined;
      if (known) this.#adopt(report, workerId, instanceId);
      const due = this.#progress.put(report, nowMs);
      if (known && !due) continue;
      telling.push(
        this.#pass(socket, taskId, { attempt, workerId }, { type: "reported", report }, () =>
          this.#adopt(report, workerId, instanceId),
        ),
      );
    }
    if (frame.load.units + this.#assignments.reservedUnits(workerId) < usedUnits) this.#wakeWaiting();
    await Promise.all(telling);
  }

  async #refused(socket: WebSocket, frame: WorkerFrameOf<"refused">, workerId: string): Promise<void> {
    const { taskId, attempt, error } = frame;
    this.#assignments.remove(taskId, attempt);
    await this.#pass(socket, taskId, { attempt, workerId }, { type: "refused", error });
  }

  async #ended(socket: WebSocket, frame: WorkerFrameOf<"ended">, workerId: string): Promise<void> {
    const { taskId, attempt, outcome, item, positionMs } = frame;
    try {
      // An unknown or stale task is acknowledged too, or the worker would repeat it for ever.
      await this.#tell(taskId, { attempt, workerId }, { type: "ended", outcome, item, positionMs });
    } catch (thrown) {
      // Not acknowledged: the worker says it again.
      warn("end not written", thrown);
      return;
    }
    this.#sockets.send(socket, { type: "ack", taskId, attempt });
    this.#unassign(taskId, attempt);
  }

  async #updated({ taskId, attempt, updateId, error }: WorkerFrameOf<"updated">, workerId: string): Promise<void> {
    // A position that was reported before a change may be one of another source.
    if (error === null) this.#progress.remove(taskId);
    await this.#toTasks
      .run(taskId, async () => await this.env.TASK.getByName(taskId).updated({ attempt, workerId }, updateId, error))
      .catch((thrown: unknown) => warn("a change was not written", thrown));
  }

  /** Passes a worker's word on to the task; a stale attempt is answered with `stop`. */
  async #pass(
    socket: WebSocket,
    taskId: string,
    ref: AttemptRef,
    event: WorkerEvent,
    ifHeld?: () => void,
  ): Promise<void> {
    try {
      const answer = await this.#tell(taskId, ref, event);
      if (answer.kind === "holds") {
        ifHeld?.();
        return;
      }
      this.#assignments.remove(taskId, ref.attempt);
      this.#progress.remove(taskId);
      const reason = "This attempt does not hold the task any more.";
      this.#sockets.send(socket, { type: "stop", taskId, attempt: ref.attempt, how: "now", reason });
    } catch (thrown) {
      // The next report says it again.
      this.#progress.remove(taskId);
      warn("a worker's word was not passed on", thrown);
    }
  }

  #tell(taskId: string, ref: AttemptRef, event: WorkerEvent): Promise<WorkerAnswer> {
    return this.#toTasks.run(taskId, async () => await this.env.TASK.getByName(taskId).hear(ref, event));
  }

  /** The socket has ended; its tasks are given back after the grace, at once if the worker was leaving. */
  async #lost(socket: WebSocket): Promise<void> {
    const state = this.#sockets.get(socket);
    this.#sockets.remove(socket);
    if (state === undefined || state.phase === "gone" || state.phase === "greeting") return;
    const releaseAtMs = Date.now() + (state.draining ? 0 : this.#config().workerGraceMs);
    const orphans = this.#assignments.ofWorker(state.workerId).filter((assignment) => assignment.releaseAtMs === null);
    for (const assignment of orphans) this.#assignments.put({ ...assignment, releaseAtMs });
    if (orphans.length > 0) await this.#wakeAt(releaseAtMs);
  }

  /** Closes a socket that has done wrong; its tasks go the way of a lost worker's. */
  async #drop(socket: WebSocket, code: number, reason: string): Promise<void> {
    const state = this.#sockets.get(socket);
    await this.#lost(socket);
    if (state !== undefined) this.#sockets.close(socket, code, reason);
  }

  /** The attempt is over. That the task may wait for a place for its next one already is not touched. */
  #unassign(taskId: string, attempt: number): void {
    if (this.#assignments.remove(taskId, attempt)) this.#progress.remove(taskId);
    this.#wakeWaiting();
  }

  /** Wakes as many waiting tasks as may find room now. */
  #wakeWaiting(): void {
    if (this.#waiting.isEmpty) return;
    const freeUnits = this.#sockets
      .ready()
      .filter(({ draining }) => !draining)
      .map((worker) => worker.capacityUnits - worker.loadUnits - this.#assignments.reservedUnits(worker.workerId))
      .reduce((sum, units) => sum + Math.max(0, units), 0);
    for (const { taskId } of this.#waiting.fitting(freeUnits)) {
      this.#waiting.remove(taskId);
      this.ctx.waitUntil(
        this.env.TASK.getByName(taskId)
          .wake()
          // It tries again by itself, only later.
          .catch((thrown: unknown) => warn("task not woken", thrown)),
      );
    }
  }

  #silentAtMs(state: SocketState): number {
    if (state.phase === "ready") return state.lastSeenMs + this.#config().heartbeatTimeoutMs;
    return state.phase === "gone" ? Number.POSITIVE_INFINITY : state.deadlineMs;
  }

  #later(thrown: unknown): number {
    warn("assignment not checked", thrown);
    return Date.now() + RETRY_MS;
  }

  /** There is one alarm: it is moved only to come earlier. */
  async #wakeAt(atMs: number): Promise<void> {
    if (atMs >= this.#alarmAtMs) return;
    this.#alarmAtMs = atMs;
    await this.ctx.storage.setAlarm(atMs);
  }

  #config(): Config {
    return readConfig(this.env);
  }
}

function warn(message: string, thrown: unknown): void {
  console.warn(message, { thrown: String(thrown) });
}
