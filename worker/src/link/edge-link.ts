import {
  CLOSE,
  decodeFrame,
  type EdgeFrame,
  type EdgeFrameOf,
  edgeFrameSchema,
  PROTOCOL_VERSION,
  RoomcastError,
  type TaskRef,
  type WorkerFrameOf,
} from "@roomcast/shared";
import type { Logger } from "pino";
import { WebSocket } from "ws";
import { Backoff } from "../base/backoff.ts";
import { cancellableSleep } from "../base/cancellable-sleep.ts";
import { RepeatedError } from "../base/repeated-error.ts";
import type { Confirmations } from "./confirmations.ts";
import { EdgeSocket, type SocketEnd } from "./edge-socket.ts";
import { fittingReports } from "./fitting-reports.ts";
import type { Outbox } from "./outbox.ts";

/** The tasks of the process, as the link uses them. */
export interface LinkedTasks {
  hello(): Pick<WorkerFrameOf<"hello">, "capacityUnits" | "load" | "running" | "draining">;
  report(): Pick<WorkerFrameOf<"report">, "load" | "tasks">;
  /** Starts a dispatched task. Never throws: a dispatch that cannot be run is answered with `refused`. */
  dispatch(frame: EdgeFrameOf<"dispatch">): WorkerFrameOf<"accepted"> | WorkerFrameOf<"refused">;
  stop(ref: TaskRef, how: "now" | "tidy", reason: string): void;
  /** Releases a task tidily, so that another worker continues it. */
  release(ref: TaskRef): void;
  /** Changes a task. Never rejects: a failed change is reported in the answer. */
  update(frame: EdgeFrameOf<"update">): Promise<WorkerFrameOf<"updated">>;
}

export interface LinkIdentity {
  readonly workerId: string;
  readonly instanceId: string;
  readonly region: string;
  readonly version: string;
}

export interface LinkTimings {
  /** The longest time from dialling to `welcome`, ms. */
  readonly welcomeTimeoutMs: number;
  /** The time without `ack` after which `ended` is sent again, ms. */
  readonly repeatEndedMs: number;
  readonly retryInitialMs: number;
  readonly retryMaxMs: number;
  /** The longest wait between dials while the edge refuses the token, or another process uses the token, ms. */
  readonly refusedRetryMs: number;
  /** The time after its welcome that a socket must last for the next dial not to be delayed, ms. */
  readonly healthyAfterMs: number;
}

export const LINK_TIMINGS: LinkTimings = {
  welcomeTimeoutMs: 10_000,
  repeatEndedMs: 5_000,
  retryInitialMs: 250,
  retryMaxMs: 2_000,
  refusedRetryMs: 60_000,
  // The edge gives a lost worker's tasks to other workers after about a second, so the first dials must come before
  // that.
  healthyAfterMs: 500,
};

export interface EdgeLinkOptions {
  /** ws(s):// URL of the edge, without the path of the fleet's door. */
  readonly edgeUrl: string;
  readonly workerToken: string;
  readonly identity: LinkIdentity;
  readonly tasks: LinkedTasks;
  /** The CPU load from 0 to 1, or null if it is unknown. */
  readonly cpu: { readonly load: number | null };
  readonly outbox: Outbox;
  readonly confirmations: Confirmations;
  readonly log: Logger;
  readonly timings?: LinkTimings;
  readonly random?: () => number;
}

/** The reason why a link ended permanently. */
export type LinkEnd =
  | { readonly name: "stopped" }
  | { readonly name: "protocolMismatch"; readonly edgeProtocol: number | null };

const STOP_REASON_AT_WELCOME = "The edge has given this task to someone else, or ended it.";

/**
 * The worker's connection to the edge. The link reconnects by itself and carries all frames. Tasks continue while there
 * is no connection.
 */
export class EdgeLink {
  readonly #options: EdgeLinkOptions;
  readonly #timings: LinkTimings;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  readonly #failures: RepeatedError;
  #socket: EdgeSocket | undefined;
  #welcomed = false;
  #running: Promise<LinkEnd> | undefined;
  #reconnects = 0;
  /** The time at which this socket was welcomed; undefined if it was not welcomed yet. */
  #welcomedAtMs: number | undefined;
  /** The time without a frame from this worker after which the edge gives the worker's tasks to other workers, ms. */
  #heartbeatTimeoutMs = 0;

  constructor(options: EdgeLinkOptions) {
    this.#options = options;
    this.#timings = options.timings ?? LINK_TIMINGS;
    this.#log = options.log;
    this.#failures = new RepeatedError(options.log, {
      first: "the edge cannot be reached; tasks go on, and it is dialled again",
      over: "the edge is reached again",
    });
    options.confirmations.onWaiting = (ref) => this.#askToConfirm([ref]);
    options.outbox.onEnded = (frame) => this.#sendEnded([frame]);
  }

  /** True between `welcome` and the end of the socket. */
  get connected(): boolean {
    return this.#welcomed;
  }

  /** The number of sockets that were lost since the start. */
  get reconnects(): number {
    return this.#reconnects;
  }

  /** Dials until `stop()`, or until the edge turns out to speak another protocol. Never rejects. */
  run(): Promise<LinkEnd> {
    this.#running ??= this.#run();
    return this.#running;
  }

  /** Tells the edge that this worker drains. Every later hello repeats it. */
  announceDraining(reason: string): void {
    if (this.#welcomed) this.#socket?.send({ type: "draining", reason });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<LinkEnd> {
    const { retryInitialMs, retryMaxMs, healthyAfterMs, refusedRetryMs } = this.#timings;
    const random = this.#options.random ?? Math.random;
    const backoff = new Backoff(
      { initialMs: retryInitialMs, maxMs: retryMaxMs, budgetMs: Number.POSITIVE_INFINITY, healthyAfterMs },
      random,
    );
    while (!this.#stopping.signal.aborted) {
      this.#welcomedAtMs = undefined;
      const end = await this.#runOnce();
      if (end.name === "stopped" || end.name === "protocolMismatch") return end;
      this.#reconnects += 1;
      const nowMs = performance.now();
      const waitMs = backoff.failed(nowMs, nowMs - (this.#welcomedAtMs ?? nowMs)) ?? retryMaxMs;
      // Only an operator can fix the cause of these two ends, so frequent dialling is useless.
      const slow = end.name === "unauthorized" || end.name === "replaced";
      await cancellableSleep(slow ? refusedRetryMs * (0.5 + random() / 2) : waitMs, this.#stopping.signal);
    }
    return { name: "stopped" };
  }

  /** Runs one socket, from dialling to its end. */
  async #runOnce(): Promise<SocketEnd> {
    const { edgeUrl, workerToken, identity, tasks } = this.#options;
    const url = new URL("/v1/fleet/connect", edgeUrl);
    url.searchParams.set("region", identity.region);
    const socket = new EdgeSocket({
      dial: () =>
        new WebSocket(url, {
          headers: { authorization: `Bearer ${workerToken}` },
          maxPayload: 4 * 1024 * 1024,
          handshakeTimeout: this.#timings.welcomeTimeoutMs,
          perMessageDeflate: false,
        }),
      welcomeTimeoutMs: this.#timings.welcomeTimeoutMs,
      signal: this.#stopping.signal,
      onOpen: () => {
        socket.send({ type: "hello", protocol: PROTOCOL_VERSION, ...identity, ...this.#hello() });
      },
      onText: (text) => this.#onFrame(socket, text),
    });
    this.#socket = socket;
    const repeat = setInterval(() => this.#sendEnded(this.#options.outbox.ended), this.#timings.repeatEndedMs);
    let report: NodeJS.Timeout | undefined;
    socket.onWelcome = (welcome) => {
      clearInterval(report);
      report = setInterval(() => this.#report(socket, tasks), welcome.reportIntervalMs);
    };
    try {
      const end = await socket.ended;
      this.#logEnd(end);
      return end;
    } finally {
      clearInterval(repeat);
      clearInterval(report);
      this.#socket = undefined;
      this.#welcomed = false;
      this.#options.confirmations.socketLost();
    }
  }

  /**
   * Returns the hello with the running tasks. For tasks that ended without the edge knowing, `ended` follows, and the
   * edge waits for it.
   */
  #hello(): ReturnType<LinkedTasks["hello"]> {
    const hello = this.#options.tasks.hello();
    // Plans with their reasons could make the frame too long. The next report includes them.
    const running = hello.running.map((task) => ({ ...task, plan: null }));
    return { ...hello, load: this.#withCpu(hello.load), running };
  }

  #withCpu(load: WorkerFrameOf<"report">["load"]): WorkerFrameOf<"report">["load"] {
    const { load: cpu } = this.#options.cpu;
    return cpu === null ? load : { ...load, cpu };
  }

  #report(socket: EdgeSocket, tasks: LinkedTasks): void {
    // A report that cannot be sent now would be outdated later.
    if (socket.congested) return;
    const { load, tasks: reports } = tasks.report();
    const report = { type: "report", load: this.#withCpu(load), tasks: reports } as const;
    for (const part of fittingReports(report)) socket.send(part);
    for (const logs of this.#options.outbox.takeLogs()) socket.send(logs);
    this.#askToConfirm(this.#options.confirmations.waiting);
  }

  /** Asks the edge to confirm these attempts. The question is repeated with each report until it is answered. */
  #askToConfirm(refs: readonly TaskRef[]): void {
    if (!this.#welcomed || this.#socket === undefined) return;
    for (const { taskId, attempt } of refs) {
      this.#options.confirmations.asked({ taskId, attempt });
      this.#socket.send({ type: "confirm", taskId, attempt });
    }
  }

  #sendEnded(frames: readonly WorkerFrameOf<"ended">[]): void {
    if (!this.#welcomed || this.#socket === undefined) return;
    for (const logs of this.#options.outbox.takeLogs()) this.#socket.send(logs);
    for (const frame of frames) this.#socket.send(frame);
  }

  #onFrame(socket: EdgeSocket, text: unknown): void {
    let frame: EdgeFrame;
    try {
      frame = decodeFrame(edgeFrameSchema, text);
    } catch (error) {
      this.#log.error({ err: error }, "the edge sent a frame that cannot be read");
      socket.close(CLOSE.malformedFrame, error instanceof RoomcastError ? error.message : "malformed");
      return;
    }
    this.#handle(socket, frame);
  }

  #handle(socket: EdgeSocket, frame: EdgeFrame): void {
    switch (frame.type) {
      case "welcome":
        if (frame.protocol !== PROTOCOL_VERSION) {
          socket.end({ name: "protocolMismatch", edgeProtocol: frame.protocol });
          return;
        }
        this.#welcome(socket, frame);
        return;
      case "dispatch":
        socket.send(this.#options.tasks.dispatch(frame));
        return;
      case "stop":
        this.#stopTask(frame, frame.how, frame.reason);
        return;
      case "update":
        void this.#update(socket, frame);
        return;
      case "ack":
        this.#options.outbox.acknowledge(frame);
        return;
      case "release":
        this.#options.tasks.release(frame);
        return;
      case "confirmed":
        // The limit is half of the edge's time limit: within it, the edge cannot have given the task to another worker.
        this.#options.confirmations.confirm(frame, this.#heartbeatTimeoutMs / 2);
        return;
      case "heartbeat":
        // Any frame proves that the edge is reachable; a heartbeat has no other content.
        return;
    }
  }

  async #update(socket: EdgeSocket, frame: EdgeFrameOf<"update">): Promise<void> {
    const answer = await this.#options.tasks.update(frame);
    // The new state of the push is sent first, so that the caller of the change does not see the old one.
    this.#report(socket, this.#options.tasks);
    socket.send(answer);
  }

  #welcome(socket: EdgeSocket, frame: EdgeFrameOf<"welcome">): void {
    this.#failures.over();
    this.#log.info({ keep: frame.keep.length, stop: frame.stop.length }, "connected to the edge");
    this.#welcomed = true;
    this.#welcomedAtMs ??= performance.now();
    this.#heartbeatTimeoutMs = frame.heartbeatTimeoutMs;
    socket.welcomed(frame);
    for (const ref of frame.stop) this.#stopTask(ref, "now", STOP_REASON_AT_WELCOME);
    this.#sendEnded(this.#options.outbox.ended);
    // A report is sent at once, because the edge needs the state of the tasks that the hello announced.
    this.#report(socket, this.#options.tasks);
  }

  #stopTask(ref: TaskRef, how: "now" | "tidy", reason: string): void {
    const { outbox, tasks } = this.#options;
    const ended = outbox.endedOf(ref);
    if (ended === undefined) tasks.stop(ref, how, reason);
    // If the task has ended already, the stop and the `ended` have crossed.
    else this.#sendEnded([ended]);
  }

  #logEnd(end: SocketEnd): void {
    switch (end.name) {
      case "stopped":
        return;
      case "protocolMismatch":
        this.#log.fatal(
          { ours: PROTOCOL_VERSION, theirs: end.edgeProtocol },
          "the edge speaks another protocol version; deploy matching versions of edge and worker",
        );
        return;
      case "unauthorized":
        this.#log.error({ err: end.error }, "the edge refuses this worker's token; mint a new one");
        return;
      case "replaced":
        this.#log.error("another process has connected with this worker's token; each worker needs its own");
        return;
      case "lost":
        this.#failures.happened(end.error);
        return;
    }
  }
}
