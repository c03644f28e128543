import { randomUUID } from "node:crypto";
import { once } from "node:events";
import {
  decodeFrame,
  type EdgeFrameOf,
  edgeFrameSchema,
  encodeFrame,
  type PlanSummary,
  PROTOCOL_VERSION,
  type TaskRef,
  type TaskReport,
  type WorkerFrame,
} from "@roomcast/shared";
import { WebSocket } from "ws";

export interface ScriptedWorkerOptions {
  /** `ws://127.0.0.1:<port>` of the edge. */
  readonly edgeUrl: string;
  readonly workerId: string;
  readonly region: string;
  readonly token: string;
  readonly capacityUnits: number;
  /** Told of every task it is given. */
  readonly onDispatch?: (dispatch: EdgeFrameOf<"dispatch">) => void;
}

/** The report of a copied 720p push. */
const PLAN: PlanSummary = { video: "copy", audio: "copy", reasons: ["The source fits the room."] };
const UNITS_PER_TASK = 4;
const DURATION_MS = 3_600_000;

interface RunningTask {
  readonly attempt: number;
  readonly startedAtMs: number;
}

/** A worker's side of the socket without any media. It accepts every task and reports that all is well. */
export class ScriptedWorker {
  /** From each report to the edge's answer, ms. Whoever reads them may empty it. */
  readonly answersMs: number[] = [];
  /** The reasons why the edge has taken tasks back. In a healthy run it takes none. */
  readonly taken: string[] = [];
  /** The reason why the socket ended, if it ended by itself. */
  lost: string | undefined;
  readonly #socket: WebSocket;
  readonly #options: ScriptedWorkerOptions;
  readonly #tasks = new Map<string, RunningTask>();
  readonly #welcomed = Promise.withResolvers<EdgeFrameOf<"welcome">>();
  readonly #acks = new Map<string, () => void>();
  #reports: NodeJS.Timeout | undefined;
  #reportedAtMs: number | undefined;

  private constructor(options: ScriptedWorkerOptions) {
    this.#options = options;
    this.#socket = new WebSocket(`${options.edgeUrl}/v1/fleet/connect?region=${options.region}`, {
      headers: { Authorization: `Bearer ${options.token}` },
      perMessageDeflate: false,
    });
    this.#socket.on("message", (data: Buffer) => this.#hear(data.toString()));
    this.#socket.on("close", (code, reason) => {
      this.lost = `closed with ${code}: ${reason.toString()}`;
      clearInterval(this.#reports);
      this.#welcomed.reject(new Error(`${options.workerId} was not welcomed: ${this.lost}`));
    });
    this.#socket.on("error", (error) => this.#welcomed.reject(error));
  }

  /** Dials, says hello and is welcomed. */
  static async connect(options: ScriptedWorkerOptions): Promise<ScriptedWorker> {
    const worker = new ScriptedWorker(options);
    const { reportIntervalMs } = await worker.#greet();
    // Real workers do not report all at the same moment either.
    const phaseMs = Math.random() * reportIntervalMs;
    worker.#reports = setTimeout(() => {
      worker.#report();
      worker.#reports = setInterval(() => worker.#report(), reportIntervalMs);
    }, phaseMs);
    return worker;
  }

  get tasks(): number {
    return this.#tasks.size;
  }

  /** Says that a task has played to its end; resolves when the edge has written that down. */
  async finish({ taskId, attempt }: TaskRef): Promise<void> {
    this.#tasks.delete(taskId);
    await new Promise<void>((resolve) => {
      this.#acks.set(taskId, resolve);
      this.#send({ type: "ended", taskId, attempt, positionMs: DURATION_MS, outcome: { name: "finished" } });
    });
  }

  async close(): Promise<void> {
    clearTimeout(this.#reports);
    clearInterval(this.#reports);
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    const closed = once(this.#socket, "close");
    this.#socket.close(1000, "The measurement is over.");
    await closed;
  }

  async #greet(): Promise<EdgeFrameOf<"welcome">> {
    const { workerId, region, capacityUnits } = this.#options;
    this.#socket.once("open", () => {
      this.#send({
        type: "hello",
        protocol: PROTOCOL_VERSION,
        workerId,
        instanceId: randomUUID(),
        region,
        version: "bench",
        capacityUnits,
        load: { units: 0 },
        running: [],
        draining: false,
      });
    });
    return this.#welcomed.promise;
  }

  #hear(data: string): void {
    const frame = decodeFrame(edgeFrameSchema, data);
    switch (frame.type) {
      case "welcome":
        this.#welcomed.resolve(frame);
        return;
      case "dispatch":
        this.#options.onDispatch?.(frame);
        this.#tasks.set(frame.taskId, { attempt: frame.attempt, startedAtMs: Date.now() });
        this.#send({ type: "accepted", taskId: frame.taskId, attempt: frame.attempt });
        return;
      case "stop":
        this.taken.push(frame.reason);
        this.#tasks.delete(frame.taskId);
        return;
      case "ack":
        this.#acks.get(frame.taskId)?.();
        this.#acks.delete(frame.taskId);
        return;
      case "heartbeat":
        if (this.#reportedAtMs !== undefined) this.answersMs.push(performance.now() - this.#reportedAtMs);
        this.#reportedAtMs = undefined;
        return;
      default:
        return;
    }
  }

  #report(): void {
    const nowMs = Date.now();
    const tasks = [...this.#tasks].map(([taskId, task]) => reportOf(taskId, task, nowMs));
    this.#reportedAtMs = performance.now();
    this.#send({ type: "report", load: { units: UNITS_PER_TASK * tasks.length }, tasks });
  }

  #send(frame: WorkerFrame): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(encodeFrame(frame));
  }
}

function reportOf(taskId: string, { attempt, startedAtMs }: RunningTask, nowMs: number): TaskReport {
  return {
    taskId,
    attempt,
    state: "pushing",
    positionMs: nowMs - startedAtMs,
    durationMs: DURATION_MS,
    bitRateKbps: 2128,
    fps: 30,
    droppedFrames: 0,
    plan: PLAN,
  };
}
