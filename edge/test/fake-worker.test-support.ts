import { exports } from "cloudflare:workers";
import {
  decodeFrame,
  type EdgeFrame,
  type EdgeFrameOf,
  edgeFrameSchema,
  encodeFrame,
  mintWorkerToken,
  type PlanSummary,
  PROTOCOL_VERSION,
  type TaskReport,
  type WorkerFrame,
  type WorkerFrameOf,
} from "@roomcast/shared";
import { eventually } from "./eventually.test-support.ts";
import { WORKER_TOKEN_KEY } from "./fixtures.test-support.ts";

interface FakeWorkerOptions {
  readonly workerId: string;
  readonly region: string;
  readonly instanceId?: string;
  readonly capacityUnits?: number;
  readonly running?: readonly TaskReport[];
  readonly draining?: boolean;
  readonly protocol?: number;
  /** The CPU load in its hello, from 0 to 1. */
  readonly cpu?: number;
}

const COPY_PLAN: PlanSummary = { video: "copy", audio: "copy", reasons: ["the source fits"] };

/** Returns a report of a push that runs well. */
export function reportOf(
  ref: { readonly taskId: string; readonly attempt: number },
  rest: Partial<TaskReport> = {},
): TaskReport {
  return {
    taskId: ref.taskId,
    attempt: ref.attempt,
    state: "pushing",
    positionMs: 1000,
    durationMs: 30_000,
    bitRateKbps: 2000,
    fps: 30,
    droppedFrames: 0,
    plan: COPY_PLAN,
    ...rest,
  };
}

/** The worker's side of the socket, which the test controls. */
export class FakeWorker {
  readonly frames: EdgeFrame[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;
  readonly instanceId: string;
  readonly #socket: WebSocket;

  constructor(socket: WebSocket, instanceId: string) {
    this.#socket = socket;
    this.instanceId = instanceId;
    socket.accept();
    socket.addEventListener("message", ({ data }) => {
      this.frames.push(decodeFrame(edgeFrameSchema, data));
    });
    socket.addEventListener("close", ({ code, reason }) => {
      this.closed = { code, reason };
    });
  }

  /** Opens a socket through the Worker's entry without sending a hello. */
  static async dial(options: Pick<FakeWorkerOptions, "workerId" | "region" | "instanceId">): Promise<FakeWorker> {
    const token = await mintWorkerToken({
      workerId: options.workerId,
      regions: [options.region],
      key: WORKER_TOKEN_KEY,
      lifetimeS: 600,
    });
    const response = await exports.default.fetch(`http://edge/v1/fleet/connect?region=${options.region}`, {
      headers: { Upgrade: "websocket", Authorization: `Bearer ${token}` },
    });
    if (response.webSocket === null) throw new Error(`no socket: ${response.status} ${await response.text()}`);
    return new FakeWorker(response.webSocket, options.instanceId ?? crypto.randomUUID());
  }

  /** Opens a socket, sends the hello and waits for the welcome. */
  static async connect(options: FakeWorkerOptions): Promise<FakeWorker> {
    const worker = await FakeWorker.dial(options);
    worker.hello(options);
    await worker.next("welcome");
    return worker;
  }

  hello(options: FakeWorkerOptions): void {
    this.send({
      type: "hello",
      protocol: options.protocol ?? PROTOCOL_VERSION,
      workerId: options.workerId,
      instanceId: this.instanceId,
      region: options.region,
      version: "0.1.0",
      capacityUnits: options.capacityUnits ?? 200,
      load: { units: 0, ...(options.cpu === undefined ? {} : { cpu: options.cpu }) },
      running: [...(options.running ?? [])],
      draining: options.draining ?? false,
    });
  }

  send(frame: WorkerFrame): void {
    this.#socket.send(encodeFrame(frame));
  }

  sendRaw(data: string | ArrayBuffer): void {
    this.#socket.send(data);
  }

  report(tasks: readonly TaskReport[], units = 4 * tasks.length, cpu?: number): void {
    this.send({ type: "report", load: { units, ...(cpu === undefined ? {} : { cpu }) }, tasks: [...tasks] });
  }

  /** Reports its CPU load and waits until the edge has answered. */
  async measures(cpu: number, tasks: readonly TaskReport[] = []): Promise<void> {
    const heartbeats = () => this.frames.filter(({ type }) => type === "heartbeat").length;
    const before = heartbeats();
    this.report(tasks, 4 * tasks.length, cpu);
    await this.next("heartbeat", () => heartbeats() > before);
  }

  ended(
    ref: { taskId: string; attempt: number; item?: number },
    outcome: WorkerFrameOf<"ended">["outcome"],
    positionMs = 30_000,
  ): void {
    const { taskId, attempt, item = 0 } = ref;
    this.send({ type: "ended", taskId, attempt, item, positionMs, outcome });
  }

  /** Answers a change as done, or with the error that prevented it. */
  updated({ taskId, attempt, updateId }: EdgeFrameOf<"update">, error: WorkerFrameOf<"updated">["error"] = null): void {
    this.send({ type: "updated", taskId, attempt, updateId, error });
  }

  /** Resolves to the first frame of this type that fits, waiting for it if necessary. */
  next<Type extends EdgeFrame["type"]>(
    type: Type,
    fits: (frame: EdgeFrameOf<Type>) => boolean = () => true,
  ): Promise<EdgeFrameOf<Type>> {
    return eventually(() => {
      // SAFETY: the type was compared.
      const found = this.frames.find((frame) => frame.type === type && fits(frame as EdgeFrameOf<Type>));
      if (found === undefined) throw new Error(`no ${type} among ${this.frames.map((frame) => frame.type).join(", ")}`);
      return found as EdgeFrameOf<Type>;
    });
  }

  /** Resolves to the code and reason with which the edge closed the socket. */
  end(): Promise<{ readonly code: number; readonly reason: string }> {
    return eventually(() => {
      if (this.closed === undefined) throw new Error("still open");
      return this.closed;
    });
  }

  close(): void {
    this.#socket.close(1000, "done");
  }
}
