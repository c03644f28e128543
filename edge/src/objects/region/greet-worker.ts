import { CLOSE, type TaskRef, type TaskReport, type WorkerFrameOf } from "@roomcast/shared";
import { Pacer } from "../../base/pacer.ts";
import { warn } from "../../base/warn.ts";
import { ROOT } from "../../contracts/root-registry.ts";
import type { WorkerAnswer } from "../../contracts/task-object.ts";
import { pass } from "./handle-frame.ts";
import { type RegionState, TRY_AGAIN_LATER } from "./region-state.ts";
import type { GreetedSocket, SocketState } from "./worker-sockets.ts";

/**
 * The number of tasks that are checked at the same time. Each check wakes a Task object, and thousands at once would
 * block all other messages to the region.
 */
const RECONCILED_AT_ONCE = 50;
/**
 * The gap between two comparisons, so that at most 200 tasks a second are compared, for all workers together. After a
 * restart of the edge all workers send a hello, and an object that was woken keeps its files open for a while
 * (docs/scale.md).
 */
const COMPARE_GAP_MS = 5;

type Hello = WorkerFrameOf<"hello">;
type Greeting = SocketState & { readonly phase: "greeting" };

/** The answer of a task that a worker has reported in its hello. */
interface Checked extends TaskRef {
  readonly answer: WorkerAnswer;
}

/**
 * Answers the hellos of workers. It compares the tasks that a worker reports with the tasks' own states, and then lets
 * the worker have new tasks. A task is kept at once if this region gave it to the worker's process and has had a report
 * of it. Its Task object is asked afterwards, at a limited rate.
 */
export class WorkerGreeter {
  readonly #regionState: RegionState;
  readonly #comparing = new Pacer(COMPARE_GAP_MS);
  #announced = false;

  constructor(regionState: RegionState) {
    this.#regionState = regionState;
  }

  async greet(socket: WebSocket, greeting: Greeting, hello: Hello): Promise<void> {
    const { sockets, config } = this.#regionState;
    const { workerId, region } = greeting;
    if (hello.workerId !== workerId) {
      return this.#regionState.drop(socket, CLOSE.unauthorized, "The hello names another worker than the token.");
    }
    if (hello.region !== region) {
      return this.#regionState.drop(socket, CLOSE.malformedFrame, "The hello names another region than the address.");
    }
    const incumbent = sockets.greeted(workerId)?.[1];
    if (incumbent !== undefined && incumbent.instanceId !== hello.instanceId) {
      // If the newcomer were accepted, the two processes would take each other's place and tasks without end. If the
      // connection of the incumbent is only half open, the incumbent is dropped for its silence, and the newcomer is
      // accepted when it connects again.
      return this.#regionState.drop(socket, CLOSE.idInUse, "Another process is connected as this worker.");
    }
    const nowMs = Date.now();
    for (const [other, state] of sockets.all()) {
      if (other !== socket && state.phase !== "gone" && state.workerId === workerId) {
        sockets.close(other, CLOSE.replaced, "The worker has connected again.");
      }
    }
    const { instanceId, version, protocol, capacityUnits, draining } = hello;
    const greeted: GreetedSocket = {
      phase: "reconciling",
      workerId,
      instanceId,
      version,
      protocol,
      capacityUnits,
      draining,
      loadUnits: hello.load.units,
      connectedAtMs: nowMs,
      lastSeenMs: nowMs,
      deadlineMs: nowMs + config.helloTimeoutMs,
    };
    sockets.set(socket, greeted);
    this.#regionState.expected.came(workerId);
    this.#regionState.lostWorkers.remove(workerId);
    // A measurement from an older socket may be that of another process, so it is forgotten.
    this.#regionState.measured.forget(workerId);
    this.#regionState.measure(greeted, hello.load.cpu);
    try {
      await this.#welcome(socket, region, hello);
    } catch (thrown) {
      warn("hello not answered", thrown);
      await this.#regionState.drop(socket, TRY_AGAIN_LATER, "The edge could not check the worker's tasks.");
    }
  }

  async #welcome(socket: WebSocket, region: string, hello: Hello): Promise<void> {
    const { sockets, config } = this.#regionState;
    const { workerId, instanceId } = hello;
    await this.#announce(region);
    // The worker may have left meanwhile, and another process with this id may have connected. This socket is then not
    // welcomed.
    if (sockets.get(socket)?.phase !== "reconciling") return;
    const { known, given, strange } = this.#partition(hello);
    for (const report of known) this.#regionState.adopt(report, workerId, instanceId);
    const checked = await this.#reconcileAll(socket, { workerId, instanceId, running: given });
    await this.#missing(workerId, instanceId, new Set(hello.running.map(({ taskId }) => taskId)));
    const state = sockets.get(socket);
    if (state?.phase !== "reconciling") return;
    const { deadlineMs: _deadlineMs, ...rest } = state;
    sockets.set(socket, { ...rest, phase: "ready" });
    const isHere = ({ taskId, attempt }: TaskRef) =>
      this.#regionState.assignments.match(taskId, attempt, workerId) !== undefined;
    const refs = [
      ...known.map(({ taskId, attempt }) => ({ taskId, attempt, held: isHere({ taskId, attempt }) })),
      ...checked.map(({ taskId, attempt, answer }) => ({ taskId, attempt, held: answer.kind === "holds" })),
      ...strange.map(({ taskId, attempt }) => ({ taskId, attempt, held: false })),
    ];
    sockets.send(socket, {
      type: "welcome",
      protocol: state.protocol,
      reportIntervalMs: config.reportIntervalMs,
      heartbeatTimeoutMs: config.heartbeatTimeoutMs,
      keep: refs.filter(({ held }) => held).map(({ taskId, attempt }) => ({ taskId, attempt })),
      stop: refs.filter(({ held }) => !held).map(({ taskId, attempt }) => ({ taskId, attempt })),
    });
    for (const { taskId, attempt, answer } of checked) {
      if (answer.kind === "holds" && answer.stop !== null) {
        sockets.send(socket, { type: "stop", taskId, attempt, how: answer.stop.how, reason: answer.stop.reason });
      }
    }
    void this.#compare(socket, workerId, known.filter(isHere));
    await this.#regionState.wakeAt(Date.now() + config.heartbeatTimeoutMs);
    this.#regionState.wakeWaiting();
  }

  /**
   * Divides the reported tasks into three parts. `known`: this region gave the task to this process and has had a
   * report of it. `given`: this region gave the task to this worker, but the task is not `known`. `strange`: this
   * region did not give the task to this worker. The objects of strange tasks are not asked, because each question
   * would create an object, and anyone with a worker token could invent thousands.
   */
  #partition({ running, workerId, instanceId }: Hello): Record<"known" | "given" | "strange", TaskReport[]> {
    const parts = { known: [] as TaskReport[], given: [] as TaskReport[], strange: [] as TaskReport[] };
    for (const report of running) {
      const assignment = this.#regionState.assignments.match(report.taskId, report.attempt, workerId);
      const isKnown = assignment?.confirmed === true && assignment.instanceId === instanceId;
      parts[assignment === undefined ? "strange" : isKnown ? "known" : "given"].push(report);
    }
    return parts;
  }

  /**
   * Passes the reports of a worker that is back on to the reported tasks, because a task may have continued on another
   * worker without a message to this region. Each task gets the newest report, because it may already have got a newer
   * one than that in the hello. Never rejects.
   */
  async #compare(socket: WebSocket, workerId: string, known: readonly TaskReport[]): Promise<void> {
    const { sockets, reports } = this.#regionState;
    for (const report of known) reports.put(report, Date.now());
    for (const report of known) {
      await this.#comparing.turn();
      // If the worker has left or has connected again, the remaining tasks are not compared.
      if (sockets.get(socket)?.phase !== "ready") return;
      const { taskId, attempt } = report;
      const newest = reports.newestReport(taskId, attempt) ?? report;
      void pass(this.#regionState, socket, { taskId, attempt, workerId, event: { type: "reported", report: newest } });
    }
  }

  /** Registers the region with the root directory, which knows all regions that ever had a worker. */
  async #announce(region: string): Promise<void> {
    if (this.#announced) return;
    await this.#regionState.env.DIRECTORY.getByName(ROOT).know("region", region);
    this.#announced = true;
  }

  /**
   * Checks a few tasks at a time, so that messages of other workers are handled meanwhile. The deadline of the socket
   * is extended while tasks answer.
   */
  async #reconcileAll(
    socket: WebSocket,
    { running, workerId, instanceId }: Pick<Hello, "running" | "workerId" | "instanceId">,
  ): Promise<Checked[]> {
    const { sockets, config } = this.#regionState;
    const checked: Checked[] = [];
    for (let first = 0; first < running.length; first += RECONCILED_AT_ONCE) {
      const few = running.slice(first, first + RECONCILED_AT_ONCE);
      checked.push(...(await Promise.all(few.map((report) => this.#reconcile(socket, report, workerId, instanceId)))));
      const state = sockets.get(socket);
      // If the worker has left or has connected again, the remaining tasks are not checked.
      if (state?.phase !== "reconciling") break;
      sockets.set(socket, { ...state, deadlineMs: Date.now() + config.helloTimeoutMs });
    }
    return checked;
  }

  /** Asks a task whether the worker that reports it still holds it. */
  async #reconcile(socket: WebSocket, report: TaskReport, workerId: string, instanceId: string): Promise<Checked> {
    const { taskId, attempt } = report;
    const answer = await this.#regionState.tasks.workerEvent(
      taskId,
      { attempt, workerId },
      { type: "reported", report },
    );
    if (this.#regionState.sockets.get(socket)?.phase !== "reconciling") return { taskId, attempt, answer };
    if (answer.kind === "holds") this.#regionState.adopt(report, workerId, instanceId);
    else this.#regionState.assignments.removeOf(workerId, taskId, attempt);
    return { taskId, attempt, answer };
  }

  /** Sets a release time for tasks that were given to the worker and are not in its hello. */
  async #missing(workerId: string, instanceId: string, running: ReadonlySet<string>): Promise<void> {
    const { assignments, config } = this.#regionState;
    for (const assignment of assignments.ofWorker(workerId)) {
      if (running.has(assignment.taskId) || !assignment.dispatched) continue;
      // If the worker's process is a new one, it does not have these tasks. If it is the same process, it may have
      // ended the tasks while it was disconnected, and will report that next.
      const graceMs = assignment.instanceId === instanceId ? config.workerGraceMs : 0;
      const releaseAtMs = Date.now() + graceMs;
      assignments.put({ ...assignment, releaseAtMs });
      await this.#regionState.wakeAt(releaseAtMs);
    }
  }
}
