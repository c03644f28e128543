import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { AddressInfo, Server } from "node:net";
import {
  decodeFrame,
  type EdgeFrame,
  type EdgeFrameOf,
  encodeFrame,
  PROTOCOL_VERSION,
  type TaskReport,
  type WorkerFrame,
  workerFrameSchema,
} from "@roomcast/shared";
import { pino } from "pino";
import { afterEach, beforeEach } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { eventually } from "../base/eventually.test-support.ts";
import { Confirmations } from "./confirmations.ts";
import { EdgeLink, LINK_TIMINGS, type LinkedTasks, type LinkTimings } from "./edge-link.ts";
import { Outbox } from "./outbox.ts";

export const TASK = "11111111-1111-4111-8111-111111111111";
export const OTHER = "22222222-2222-4222-8222-222222222222";
export const REF = { taskId: TASK, attempt: 1 };
export const WELCOME: EdgeFrameOf<"welcome"> = {
  type: "welcome",
  protocol: PROTOCOL_VERSION,
  reportIntervalMs: 50,
  heartbeatTimeoutMs: 60_000,
  keep: [],
  stop: [],
};
export const DISPATCH = {
  type: "dispatch",
  ...REF,
  resumeAtMs: null,
  resumeItem: 0,
  paused: false,
  request: {
    VideoSrc: "https://media.example.com/a.mp4",
    SdkAppId: 1400000001,
    RoomId: 42,
    Mode: "vod",
    UserId: "teacher",
    UserSig: "sig",
    Redis: false,
  },
} as const;

/** The edge's side of one socket. It validates every frame of the worker as the edge does. */
export class EdgeEnd {
  readonly frames: WorkerFrame[] = [];
  readonly socket: WebSocket;
  readonly request: IncomingMessage;
  closed: { code: number; reason: string } | undefined;

  constructor(socket: WebSocket, request: IncomingMessage) {
    this.socket = socket;
    this.request = request;
    socket.on("message", (data) => {
      // SAFETY: ws gives one Buffer unless its binaryType is changed.
      this.frames.push(decodeFrame(workerFrameSchema, (data as Buffer).toString()));
    });
    socket.on("close", (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
  }

  send(frame: EdgeFrame): void {
    this.socket.send(encodeFrame(frame));
  }

  of<Type extends WorkerFrame["type"]>(type: Type): Extract<WorkerFrame, { type: Type }>[] {
    return this.frames.filter((frame): frame is Extract<WorkerFrame, { type: Type }> => frame.type === type);
  }
}

export function portOf(listening: WebSocketServer | Server): number {
  // SAFETY: a TCP server that listens has an AddressInfo.
  return (listening.address() as AddressInfo).port;
}

function fakeTasks() {
  const calls: unknown[] = [];
  const running: TaskReport[] = [];
  const tasks: LinkedTasks = {
    hello: () => ({ capacityUnits: 200, load: { units: 4 }, running, draining: false }),
    report: () => ({ load: { units: 4 }, tasks: running }),
    dispatch: (frame) => {
      calls.push(["dispatch", frame.taskId, frame.attempt]);
      return { type: "accepted", taskId: frame.taskId, attempt: frame.attempt };
    },
    update: async ({ taskId, attempt, updateId }) => ({ type: "updated", taskId, attempt, updateId, error: null }),
    stop: (ref, how) => void calls.push(["stop", ref.taskId, ref.attempt, how]),
    release: (ref) => void calls.push(["release", ref.taskId, ref.attempt]),
  };
  return { tasks, calls, running };
}

export function runningTask(changes: Partial<TaskReport> = {}): TaskReport {
  return {
    ...REF,
    item: 0,
    state: "pushing",
    positionMs: 1500,
    durationMs: 30_000,
    bitRateKbps: 2000,
    fps: 30,
    droppedFrames: 0,
    plan: { video: "copy", audio: "copy", reasons: ["fits"] },
    ...changes,
  };
}

interface NewLinkOptions {
  readonly timings?: Partial<LinkTimings>;
  /** Replaces the door's port. */
  readonly port?: number;
  readonly random?: () => number;
}

/** A server that workers dial, links that connect to it, and the received frames. Each test gets a new one. */
class FleetDoor {
  sockets: EdgeEnd[] = [];
  logged: { msg: string; level: number }[] = [];
  /** The HTTP status that refuses the next dials. */
  refuseWith: number | undefined;
  #server = new WebSocketServer({ noServer: true });
  #cleanUps: (() => Promise<unknown>)[] = [];

  async open(): Promise<void> {
    [this.sockets, this.logged, this.refuseWith, this.#cleanUps] = [[], [], undefined, []];
    this.#server = new WebSocketServer({
      port: 0,
      host: "127.0.0.1",
      verifyClient: (_info, done) => done(this.refuseWith === undefined, this.refuseWith),
    });
    this.#server.on("connection", (socket, request) => this.sockets.push(new EdgeEnd(socket, request)));
    await once(this.#server, "listening");
  }

  get port(): number {
    return portOf(this.#server);
  }

  /** Called after the test, before the door closes. */
  afterwards(cleanUp: () => Promise<unknown>): void {
    this.#cleanUps.push(cleanUp);
  }

  /** Starts a link. */
  newLink(options: NewLinkOptions = {}) {
    const outbox = new Outbox();
    const confirmations = new Confirmations();
    const fake = fakeTasks();
    const cpu: { load: number | null } = { load: null };
    const link = new EdgeLink({
      edgeUrl: `ws://127.0.0.1:${options.port ?? this.port}`,
      workerToken: "the.worker.token",
      identity: { workerId: "gz-1", instanceId: OTHER, region: "ap-guangzhou", version: "0.1.0" },
      tasks: fake.tasks,
      cpu,
      outbox,
      confirmations,
      log: pino({ level: "debug" }, { write: (line) => this.logged.push(JSON.parse(line)) }),
      timings: { ...LINK_TIMINGS, retryInitialMs: 10, retryMaxMs: 20, repeatEndedMs: 30, ...options.timings },
      ...(options.random === undefined ? {} : { random: options.random }),
    });
    const ended = link.run();
    this.afterwards(() => link.stop());
    return { link, outbox, confirmations, ended, cpu, ...fake };
  }

  /** Waits for a socket that has sent hello. */
  edgeEnd(index = 0): Promise<EdgeEnd> {
    return eventually(() => {
      const end = this.sockets[index];
      if (end === undefined || end.of("hello").length === 0) throw new Error(`socket ${index} said no hello`);
      return end;
    });
  }

  async close(): Promise<void> {
    for (const cleanUp of this.#cleanUps.toReversed()) await cleanUp();
    for (const { socket } of this.sockets) socket.terminate();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** Opens a door for each test of the calling file. */
export function openFleetDoor(): FleetDoor {
  const door = new FleetDoor();
  beforeEach(() => door.open());
  afterEach(() => door.close());
  return door;
}
