import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import {
  CLOSE,
  decodeFrame,
  type EdgeFrame,
  type EdgeFrameOf,
  encodeFrame,
  MAX_FRAME_LENGTH,
  PROTOCOL_VERSION,
  type TaskReport,
  type WorkerFrame,
  workerFrameSchema,
} from "@roomcast/shared";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { Confirmations } from "./confirmations.ts";
import { EdgeLink, LINK_TIMINGS, type LinkedTasks, type LinkTimings } from "./edge-link.ts";
import { Outbox } from "./outbox.ts";

const TASK = "11111111-1111-4111-8111-111111111111";
const OTHER = "22222222-2222-4222-8222-222222222222";
const REF = { taskId: TASK, attempt: 1 };
const WELCOME: EdgeFrameOf<"welcome"> = {
  type: "welcome",
  protocol: PROTOCOL_VERSION,
  reportIntervalMs: 50,
  heartbeatTimeoutMs: 60_000,
  keep: [],
  stop: [],
};
const ENDED = { type: "ended", ...REF, item: 0, positionMs: 5, outcome: { name: "finished" } } as const;
const DISPATCH = {
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

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

/** One socket as the edge sees it; every frame of the worker is checked as the edge would. */
class EdgeEnd {
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

let server: WebSocketServer;
let sockets: EdgeEnd[];
/** HTTP status with which the next dials are refused. */
let refuseWith: number | undefined;
let logged: { msg: string; level: number }[];

beforeEach(async () => {
  sockets = [];
  logged = [];
  refuseWith = undefined;
  server = new WebSocketServer({
    port: 0,
    host: "127.0.0.1",
    verifyClient: (_info, done) => done(refuseWith === undefined, refuseWith),
  });
  server.on("connection", (socket, request) => sockets.push(new EdgeEnd(socket, request)));
  await once(server, "listening");
  cleanUps.push(async () => {
    for (const { socket } of sockets) socket.terminate();
    server.close();
    await once(server, "close");
  });
});

function eventually<Result>(check: () => Result): Promise<Result> {
  return vi.waitFor(check, { timeout: 15_000, interval: 5 });
}

function portOf(listening: WebSocketServer | Server): number {
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

function runningTask(changes: Partial<TaskReport> = {}): TaskReport {
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

function newLink(options: { timings?: Partial<LinkTimings>; port?: number; random?: () => number } = {}) {
  const outbox = new Outbox();
  const confirmations = new Confirmations();
  const fake = fakeTasks();
  const cpu: { load: number | null } = { load: null };
  const link = new EdgeLink({
    edgeUrl: `ws://127.0.0.1:${options.port ?? portOf(server)}`,
    workerToken: "the.worker.token",
    identity: { workerId: "gz-1", instanceId: OTHER, region: "ap-guangzhou", version: "0.1.0" },
    tasks: fake.tasks,
    cpu,
    outbox,
    confirmations,
    log: pino({ level: "debug" }, { write: (line) => logged.push(JSON.parse(line)) }),
    timings: { ...LINK_TIMINGS, retryInitialMs: 10, retryMaxMs: 20, repeatEndedMs: 30, ...options.timings },
    ...(options.random === undefined ? {} : { random: options.random }),
  });
  const ended = link.run();
  cleanUps.push(() => link.stop());
  return { link, outbox, confirmations, ended, cpu, ...fake };
}

function edgeEnd(index = 0): Promise<EdgeEnd> {
  return eventually(() => {
    const end = sockets[index];
    if (end === undefined || end.of("hello").length === 0) throw new Error(`socket ${index} said no hello`);
    return end;
  });
}

describe("hello", () => {
  test("comes first, to the fleet's door, with the token in a header and the region in the query", async () => {
    const { running } = newLink();
    running.push(runningTask());
    const edge = await edgeEnd();
    expect(edge.request.url).toBe("/v1/fleet/connect?region=ap-guangzhou");
    expect(edge.request.headers.authorization).toBe("Bearer the.worker.token");
    expect(edge.frames[0]).toEqual({
      type: "hello",
      protocol: PROTOCOL_VERSION,
      workerId: "gz-1",
      instanceId: OTHER,
      region: "ap-guangzhou",
      version: "0.1.0",
      capacityUnits: 200,
      load: { units: 4 },
      running: [{ ...runningTask(), plan: null }],
      draining: false,
    });
  });

  test("says nothing of tasks that ended while the edge was away: their `ended` follows the welcome", async () => {
    const { outbox } = newLink();
    outbox.addEnded(ENDED);
    const edge = await edgeEnd();
    expect(edge.of("hello")[0]?.running).toEqual([]);
    expect(edge.of("ended")).toEqual([]);
    edge.send(WELCOME);
    await eventually(() => expect(edge.of("ended")[0]).toEqual(ENDED));
  });
});

describe("after welcome", () => {
  test("reports come on the edge's interval: all tasks and the load in one frame", async () => {
    const { running } = newLink();
    running.push(runningTask(), runningTask({ taskId: OTHER }));
    const edge = await edgeEnd();
    edge.send(WELCOME);
    await eventually(() => expect(edge.of("report").length).toBeGreaterThan(2));
    expect(edge.of("report")[0]).toEqual({ type: "report", load: { units: 4 }, tasks: running });
  });

  test("a report says how busy the CPU is, once that is known", async () => {
    const { cpu } = newLink();
    const edge = await edgeEnd();
    edge.send(WELCOME);
    await eventually(() => expect(edge.of("report")[0]?.load).toEqual({ units: 4 }));
    cpu.load = 0.375;
    await eventually(() => expect(edge.of("report").at(-1)?.load).toEqual({ units: 4, cpu: 0.375 }));
    edge.socket.close();
    const again = await edgeEnd(1);
    expect(again.of("hello")[0]?.load).toEqual({ units: 4, cpu: 0.375 });
  });

  test("tasks that the edge does not want any more are stopped", async () => {
    const { calls } = newLink();
    const edge = await edgeEnd();
    edge.send({ ...WELCOME, stop: [REF] });
    await eventually(() => expect(calls).toEqual([["stop", TASK, 1, "now"]]));
  });

  test("a dispatch is answered; one that comes twice is answered twice", async () => {
    const { calls } = newLink();
    const edge = await edgeEnd();
    edge.send(WELCOME);
    edge.send(DISPATCH);
    edge.send(DISPATCH);
    await eventually(() => expect(edge.of("accepted")).toHaveLength(2));
    expect(calls).toEqual([
      ["dispatch", TASK, 1],
      ["dispatch", TASK, 1],
    ]);
  });

  test("a dispatch and a stop that overtake the welcome count", async () => {
    const { calls } = newLink();
    const edge = await edgeEnd();
    edge.send(DISPATCH);
    edge.send({ type: "stop", ...REF, how: "tidy", reason: "asked for" });
    edge.send(WELCOME);
    edge.send(WELCOME);
    await eventually(() => expect(edge.of("accepted")).toHaveLength(1));
    expect(calls).toEqual([
      ["dispatch", TASK, 1],
      ["stop", TASK, 1, "tidy"],
    ]);
  });

  test("log lines of a task reach the edge before its `ended` does", async () => {
    const { outbox } = newLink();
    const edge = await edgeEnd();
    edge.send(WELCOME);
    await eventually(() => expect(edge.of("report").length).toBeGreaterThan(0));
    outbox.addLog(REF, { atMs: 1, level: "info", message: "task ended" });
    outbox.addEnded(ENDED);
    await eventually(() => expect(edge.of("ended").length).toBeGreaterThan(0));
    const types = edge.frames.map(({ type }) => type).filter((type) => type === "logs" || type === "ended");
    expect(types.slice(0, 2)).toEqual(["logs", "ended"]);
  });

  test("a change of a push is answered under its own id", async () => {
    newLink();
    const edge = await edgeEnd();
    edge.send(WELCOME);
    edge.send({ type: "update", ...REF, updateId: OTHER, change: { IsPause: true } });
    await eventually(() =>
      expect(edge.of("updated")).toEqual([{ type: "updated", ...REF, updateId: OTHER, error: null }]),
    );
  });

  test("a task that the edge asks back is given back", async () => {
    const { calls } = newLink();
    const edge = await edgeEnd();
    edge.send(WELCOME);
    edge.send({ type: "release", ...REF, reason: "the worker is drained" });
    await eventually(() => expect(calls).toEqual([["release", TASK, 1]]));
  });

  test("an attempt is confirmed by the edge, at once or when the edge is there again", async () => {
    const { confirmations } = newLink();
    const { signal } = new AbortController();
    const edge = await edgeEnd();
    const early = confirmations.until(REF, signal);
    edge.send(WELCOME);
    await eventually(() => expect(edge.of("confirm")).not.toEqual([]));
    edge.send({ type: "confirmed", ...REF });
    await early;
    edge.socket.terminate();
    const again = await edgeEnd(1);
    const late = confirmations.until(REF, signal);
    again.send({ ...WELCOME, keep: [REF] });
    await eventually(() => expect(again.of("confirm").length).toBeGreaterThan(1));
    expect(confirmations.waiting).toEqual([REF]);
    again.send({ type: "confirmed", ...REF });
    await late;
  });

  test("a drain is announced", async () => {
    const { link } = newLink();
    const edge = await edgeEnd();
    edge.send(WELCOME);
    await eventually(() => expect(link.connected).toBe(true));
    link.announceDraining("SIGTERM");
    await eventually(() => expect(edge.of("draining")).toEqual([{ type: "draining", reason: "SIGTERM" }]));
  });
});

describe("`ended`", () => {
  test("is repeated until it is acknowledged, also over another socket", async () => {
    const { outbox } = newLink();
    const first = await edgeEnd();
    first.send(WELCOME);
    outbox.addEnded(ENDED);
    await eventually(() => expect(first.of("ended").length).toBeGreaterThan(1));
    first.socket.terminate();
    const second = await edgeEnd(1);
    second.send(WELCOME);
    await eventually(() => expect(second.of("ended").length).toBeGreaterThan(1));
    second.send({ type: "ack", ...REF });
    second.send({ type: "ack", ...REF });
    await outbox.delivered();
    expect(outbox.ended).toEqual([]);
  });

  test("answers a stop that crossed it", async () => {
    const { outbox, calls } = newLink({ timings: { repeatEndedMs: 60_000 } });
    const edge = await edgeEnd();
    edge.send(WELCOME);
    outbox.addEnded(ENDED);
    await eventually(() => expect(edge.of("ended")).toHaveLength(1));
    edge.send({ type: "stop", ...REF, how: "now", reason: "asked for" });
    await eventually(() => expect(edge.of("ended")).toHaveLength(2));
    expect(calls).toEqual([]);
  });
});

describe("a lost edge", () => {
  test("is dialled again until it is there; its absence is said once", async () => {
    const gone = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await once(gone, "listening");
    const port = portOf(gone);
    gone.close();
    await once(gone, "close");
    const { link } = newLink({ port });
    await eventually(() => expect(link.reconnects).toBeGreaterThan(3));
    const back = new WebSocketServer({ port, host: "127.0.0.1" });
    back.on("connection", (socket) => socket.on("message", () => socket.send(encodeFrame(WELCOME))));
    cleanUps.push(async () => {
      for (const client of back.clients) client.terminate();
      back.close();
    });
    await eventually(() => expect(link.connected).toBe(true));
    expect(logged.filter(({ msg }) => msg.includes("cannot be reached"))).toHaveLength(1);
    expect(logged.filter(({ msg }) => msg.includes("reached again"))).toHaveLength(1);
  });

  test("that cuts every socket is met again each time, with a hello", async () => {
    const { calls } = newLink();
    for (let n = 0; n < 5; n += 1) {
      const edge = await edgeEnd(n);
      edge.send(WELCOME);
      edge.socket.terminate();
    }
    await edgeEnd(5);
    expect(calls).toEqual([]);
  });

  test("that falls silent is left, and dialled again", async () => {
    newLink();
    const silent = await edgeEnd();
    silent.send({ ...WELCOME, heartbeatTimeoutMs: 100 });
    await edgeEnd(1);
    await eventually(() => expect(silent.closed).toEqual({ code: CLOSE.silent, reason: "silent" }));
  });

  test("is not left while it answers reports by heartbeats", async () => {
    newLink();
    const edge = await edgeEnd();
    edge.socket.on("message", () => edge.send({ type: "heartbeat" }));
    edge.send({ ...WELCOME, heartbeatTimeoutMs: 1_000 });
    await eventually(() => expect(edge.of("report").length).toBeGreaterThan(25));
    expect(sockets).toHaveLength(1);
  });

  test("behind a network that drops everything is found out", async () => {
    // A proxy that stops passing anything on, and closes nothing.
    const passing: Socket[] = [];
    let dropping = false;
    const proxy = createServer((inbound) => {
      const outbound = connect(portOf(server), "127.0.0.1");
      passing.push(inbound, outbound);
      for (const [from, to] of [
        [inbound, outbound],
        [outbound, inbound],
      ] as const) {
        from.on("error", () => {});
        from.on("data", (data) => void (dropping || to.write(data)));
      }
    }).listen(0, "127.0.0.1");
    await once(proxy, "listening");
    cleanUps.push(async () => {
      for (const socket of passing) socket.destroy();
      proxy.close();
    });
    const { link } = newLink({ port: portOf(proxy) });
    const edge = await edgeEnd();
    edge.send({ ...WELCOME, heartbeatTimeoutMs: 100 });
    await eventually(() => expect(link.connected).toBe(true));
    dropping = true;
    await eventually(() => expect(link.connected).toBe(false));
    dropping = false;
    await edgeEnd(1);
  });

  test("that takes the socket and never says welcome is dialled again", async () => {
    const { link } = newLink({ timings: { welcomeTimeoutMs: 50 } });
    await edgeEnd(1);
    expect(link.reconnects).toBeGreaterThan(0);
  });
});

describe("hostile frames", () => {
  const cases: [string, string | Buffer][] = [
    ["no JSON", "{"],
    ["no object", "[]"],
    ["an unknown type", '{"type":"reboot"}'],
    ["a dispatch without a request", JSON.stringify({ ...DISPATCH, request: undefined })],
    ["a dispatch with a wrong field", JSON.stringify({ ...DISPATCH, request: { ...DISPATCH.request, SdkAppId: -1 } })],
    ["an attempt of 0", JSON.stringify({ type: "stop", taskId: TASK, attempt: 0, how: "now", reason: "" })],
    ["a report interval of nothing", JSON.stringify({ ...WELCOME, reportIntervalMs: 0 })],
    ["a frame that is too long", JSON.stringify({ type: "ack", ...REF, x: "x".repeat(MAX_FRAME_LENGTH) })],
    ["a binary frame", Buffer.from(JSON.stringify({ type: "ack", ...REF }))],
  ];

  test.each(cases)("%s closes the socket with a reason; the worker lives and dials again", async (_name, frame) => {
    const { calls } = newLink();
    const edge = await edgeEnd();
    edge.socket.send(frame);
    await eventually(() => expect(edge.closed?.code).toBe(CLOSE.malformedFrame));
    expect(edge.closed?.reason).not.toBe("");
    const next = await edgeEnd(1);
    next.send(WELCOME);
    next.send(DISPATCH);
    await eventually(() => expect(next.of("accepted")).toHaveLength(1));
    expect(calls).toEqual([["dispatch", TASK, 1]]);
  });
});

describe("an edge that does not want this worker", () => {
  test.each([401, 403])("refuses its token by HTTP %d: it is said clearly, and knocking is slow", async (status) => {
    refuseWith = status;
    const { link } = newLink({ timings: { refusedRetryMs: 20 } });
    await eventually(() => expect(link.reconnects).toBeGreaterThan(1));
    expect(logged.every(({ msg }) => !msg.includes("cannot be reached"))).toBe(true);
    expect(logged.some(({ msg }) => msg.includes("refuses this worker's token"))).toBe(true);
    expect(JSON.stringify(logged)).not.toContain("the.worker.token");
    refuseWith = undefined;
    await edgeEnd();
  });

  test("knocks slowly: the wait is half the slow interval at least", async () => {
    refuseWith = 401;
    const { link } = newLink({ timings: { refusedRetryMs: 600_000 } });
    await eventually(() => expect(link.reconnects).toBe(1));
    refuseWith = undefined;
    await link.stop();
    expect(sockets).toHaveLength(0);
  });

  test("replaced it by another process of the same name: it is said", async () => {
    newLink({ timings: { refusedRetryMs: 20 } });
    const edge = await edgeEnd();
    edge.socket.close(CLOSE.replaced, "replaced");
    await edgeEnd(1);
    expect(logged.some(({ msg }) => msg.includes("another process"))).toBe(true);
  });

  test.each<[string, (edge: EdgeEnd) => void]>([
    ["by its welcome", (edge) => edge.send({ ...WELCOME, protocol: PROTOCOL_VERSION + 1 })],
    ["by its close code", (edge) => edge.socket.close(CLOSE.protocolMismatch, "protocol 2 is spoken here")],
  ])("speaks another protocol, %s: the link ends for good", async (_name, refuse) => {
    const { ended } = newLink();
    refuse(await edgeEnd());
    expect((await ended).name).toBe("protocolMismatch");
    expect(logged.some(({ level, msg }) => level === 60 && msg.includes("another protocol version"))).toBe(true);
  });
});

test("stop ends the link, also while it dials or waits, and may be called twice", async () => {
  const { link, ended } = newLink();
  const edge = await edgeEnd();
  await Promise.all([link.stop(), link.stop()]);
  expect(await ended).toEqual({ name: "stopped" });
  await eventually(() => expect(edge.closed?.code).toBe(1000));
  expect(sockets).toHaveLength(1);
});
