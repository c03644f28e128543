import { describe, expect, it } from "vitest";
import { RoomcastError } from "./errors.ts";
import {
  decodeFrame,
  type EdgeFrame,
  edgeFrameSchema,
  encodeFrame,
  MAX_FRAME_LENGTH,
  PROTOCOL_VERSION,
  type TaskReport,
  type WorkerFrame,
  workerFrameSchema,
} from "./wire.ts";

const taskId = "0b8e1f5e-2f5d-4c86-9a7b-1c2d3e4f5a6b";
const ref = { taskId, attempt: 2 };
const error = { code: "FailedOperation.SourceLost", message: "The source is gone.", retryable: true } as const;
const report: TaskReport = {
  ...ref,
  state: "pushing",
  positionMs: 12_345.5,
  durationMs: null,
  bitRateKbps: 2000,
  fps: 29.97,
  droppedFrames: 0,
  plan: { video: "copy", audio: "transcode", reasons: ["The audio is mp3; rooms take AAC."] },
};

const WORKER_FRAMES: Record<string, WorkerFrame> = {
  hello: {
    type: "hello",
    protocol: PROTOCOL_VERSION,
    workerId: "worker-1",
    instanceId: taskId,
    region: "ap-guangzhou",
    version: "0.1.0",
    capacityUnits: 200,
    load: { units: 4 },
    running: [report],
    draining: false,
  },
  accepted: { type: "accepted", ...ref },
  refused: { type: "refused", ...ref, error },
  report: { type: "report", load: { units: 4 }, tasks: [report, { ...report, plan: null, durationMs: 60_000 }] },
  "report with a measured load": { type: "report", load: { units: 4, cpu: 0.375 }, tasks: [] },
  "ended finished": { type: "ended", ...ref, positionMs: 0, outcome: { name: "finished" } },
  "ended failed": { type: "ended", ...ref, positionMs: 1, outcome: { name: "failed", error } },
  "ended aborted": { type: "ended", ...ref, positionMs: 1, outcome: { name: "aborted", reason: "stopped" } },
  "ended released": { type: "ended", ...ref, positionMs: 1, outcome: { name: "released" } },
  logs: { type: "logs", ...ref, lines: [{ atMs: 1, level: "warn", message: "slow 慢" }] },
  draining: { type: "draining", reason: "SIGTERM" },
  confirm: { type: "confirm", ...ref },
};

const EDGE_FRAMES: Record<string, EdgeFrame> = {
  welcome: {
    type: "welcome",
    protocol: PROTOCOL_VERSION,
    reportIntervalMs: 1000,
    heartbeatTimeoutMs: 10_000,
    keep: [ref],
    stop: [],
  },
  dispatch: {
    type: "dispatch",
    ...ref,
    request: {
      VideoSrc: "https://h/v.mp4",
      SdkAppId: 1,
      RoomId: 42,
      Mode: "vod",
      UserId: "u",
      UserSig: "sig",
      Redis: false,
    },
    resumeAtMs: null,
  },
  stop: { type: "stop", ...ref, how: "tidy", reason: "The user stopped it." },
  ack: { type: "ack", ...ref },
  confirmed: { type: "confirmed", ...ref },
  release: { type: "release", ...ref, reason: "the worker is drained" },
};

function failure(schema: typeof workerFrameSchema | typeof edgeFrameSchema, data: unknown): RoomcastError {
  try {
    decodeFrame(schema, data);
  } catch (thrown) {
    if (thrown instanceof RoomcastError) return thrown;
  }
  throw new Error("expected a RoomcastError");
}

const worker = (frame: unknown) => failure(workerFrameSchema, JSON.stringify(frame));

describe("Frame", () => {
  it.each(Object.entries(WORKER_FRAMES))("%s of a worker is the same after the socket", (_name, frame) => {
    expect(decodeFrame(workerFrameSchema, encodeFrame(frame))).toEqual(frame);
  });

  it.each(Object.entries(EDGE_FRAMES))("%s of the edge is the same after the socket", (_name, frame) => {
    expect(decodeFrame(edgeFrameSchema, encodeFrame(frame))).toEqual(frame);
  });

  it("of one side is not taken from the other", () => {
    for (const frame of Object.values(WORKER_FRAMES)) {
      expect(failure(edgeFrameSchema, encodeFrame(frame)).message).toContain("malformed");
    }
    for (const frame of Object.values(EDGE_FRAMES)) {
      expect(failure(workerFrameSchema, encodeFrame(frame)).message).toContain("malformed");
    }
  });

  const everyFrame = [
    ...Object.entries(WORKER_FRAMES).map(([name, frame]) => [name, workerFrameSchema, frame] as const),
    ...Object.entries(EDGE_FRAMES).map(([name, frame]) => [name, edgeFrameSchema, frame] as const),
  ];

  it.each(everyFrame)(
    "%s is refused when any one of its fields is missing or of a wrong type",
    (_name, schema, frame) => {
      for (const key of Object.keys(frame)) {
        const rest = Object.fromEntries(Object.entries(frame).filter(([name]) => name !== key));
        expect(failure(schema, JSON.stringify(rest)).code).toBe("InvalidParameter");
        for (const wrong of [[[]], { a: 1 }, -1.5]) {
          expect(failure(schema, JSON.stringify({ ...frame, [key]: wrong })).code).toBe("InvalidParameter");
        }
      }
    },
  );

  it.each(everyFrame)("%s may bring keys that this version does not know", (_name, schema, frame) => {
    expect(decodeFrame(schema, JSON.stringify({ ...frame, later: { deep: [1] } }))).toEqual(frame);
  });

  it("may say more of the load than this version knows, as one with `cpu` does to an edge from before it", () => {
    const frame = JSON.stringify({ type: "report", load: { units: 4, later: 1 }, tasks: [] });
    expect(decodeFrame(workerFrameSchema, frame)).toEqual({ type: "report", load: { units: 4 }, tasks: [] });
  });

  it("with a request parameter that this version does not know is refused instead of losing the parameter", () => {
    const dispatch = { ...EDGE_FRAMES.dispatch, request: { VideoSrc: "https://h/v.mp4", Later: 1 } };
    expect(failure(edgeFrameSchema, JSON.stringify(dispatch)).message).toContain("request");
  });

  it.each<[string, unknown]>([
    ["not text", new Uint8Array([123, 125])],
    ["nothing", undefined],
    ["empty", ""],
    ["not JSON", "{"],
    ["NaN", '{"type":"report","load":{"units":NaN},"tasks":[]}'],
    ["a number past every bound", '{"type":"report","load":{"units":1e999},"tasks":[]}'],
    ["null", "null"],
    ["a list", "[]"],
    ["a text", '"hello"'],
    ["of an unknown type", '{"type":"shutdown"}'],
    ["of a type that every object has", '{"type":"constructor"}'],
    ["without a type", "{}"],
    ["deep", `${"[".repeat(200_000)}${"]".repeat(200_000)}`],
    ["deep in an unknown key of a wrong frame", `{"type":"accepted","x":${"[".repeat(100_000)}${"]".repeat(100_000)}}`],
    ["too long", `{"type":"accepted","x":"${"x".repeat(MAX_FRAME_LENGTH)}"}`],
  ])("that is %s is refused with a typed error, fit for a close reason", (_what, data) => {
    const refused = failure(workerFrameSchema, data);
    expect(refused.code).toBe("InvalidParameter");
    // RFC 6455, section 5.5: a close frame carries at most 125 bytes, two of them the code.
    expect(new TextEncoder().encode(refused.message).length).toBeLessThanOrEqual(123);
  });

  it("just short enough is taken", () => {
    const frame = '{"type":"draining","reason":"x"}';
    expect(decodeFrame(workerFrameSchema, frame.padEnd(MAX_FRAME_LENGTH))).toEqual({ type: "draining", reason: "x" });
    expect(failure(workerFrameSchema, frame.padEnd(MAX_FRAME_LENGTH + 1)).message).toContain("too long");
  });

  it("whose number was NaN or infinite on the sender's side is refused, not misread", () => {
    for (const fps of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const frame: WorkerFrame = { type: "report", load: { units: 0 }, tasks: [{ ...report, fps }] };
      expect(failure(workerFrameSchema, encodeFrame(frame)).message).toContain("tasks.0.fps");
    }
  });

  it.each<[string, unknown]>([
    ["an attempt of 0", { type: "accepted", taskId, attempt: 0 }],
    ["a fraction of an attempt", { type: "accepted", taskId, attempt: 1.5 }],
    ["a task id that is no UUID", { type: "accepted", taskId: "1", attempt: 1 }],
    ["a negative position", { ...WORKER_FRAMES["ended finished"], positionMs: -1 }],
    ["an outcome that is not known", { ...WORKER_FRAMES["ended finished"], outcome: { name: "lost" } }],
    ["an error code that is not known", { type: "refused", ...ref, error: { ...error, code: "Oops" } }],
    ["a state no worker reports", { type: "report", load: { units: 0 }, tasks: [{ ...report, state: "finished" }] }],
    [
      "a log line at a time that no date has",
      { type: "logs", ...ref, lines: [{ atMs: 1e16, level: "info", message: "x" }] },
    ],
    ["a CPU that is more than busy", { type: "report", load: { units: 0, cpu: 1.01 }, tasks: [] }],
    ["a CPU that is less than idle", { type: "report", load: { units: 0, cpu: -0.01 }, tasks: [] }],
    // JSON writes a number that is not finite as null.
    ["a busy share that is null", { type: "report", load: { units: 0, cpu: null }, tasks: [] }],
    ["a busy share that is a text", { type: "report", load: { units: 0, cpu: "0.5" }, tasks: [] }],
    ["too many log lines", { type: "logs", ...ref, lines: Array.from({ length: 501 }, () => WORKER_FRAMES.logs) }],
  ])("with %s is refused", (_what, frame) => {
    expect(worker(frame).code).toBe("InvalidParameter");
  });

  it("makes prose that quotes a foreign server printable, in one line", () => {
    const message = 'refused (\u001b[2J\r\n{"level":50}\u202e\u0085)';
    const outcome = { name: "failed" as const, error: { ...error, message } };
    const ended = decodeFrame(
      workerFrameSchema,
      encodeFrame({ type: "ended", ...ref, positionMs: 0, outcome } satisfies WorkerFrame),
    );
    const shown = 'refused (\u{FFFD}[2J  {"level":50}\u{FFFD}\u{FFFD})';
    expect(ended).toMatchObject({ outcome: { error: { message: shown } } });
    const lines = [{ atMs: 1, level: "info" as const, message }];
    const logs = decodeFrame(workerFrameSchema, encodeFrame({ type: "logs", ...ref, lines } satisfies WorkerFrame));
    expect(logs).toMatchObject({ lines: [{ message: shown }] });
  });

  it("shortens prose that is too long instead of refusing the frame", () => {
    const outcome = { name: "failed" as const, error: { ...error, message: "m".repeat(5000) } };
    const frame: WorkerFrame = { type: "ended", ...ref, positionMs: 0, outcome };
    const decoded = decodeFrame(workerFrameSchema, encodeFrame(frame));
    expect(decoded).toMatchObject({ outcome: { error: { message: `${"m".repeat(1999)}…` } } });
    expect(decodeFrame(workerFrameSchema, encodeFrame(decoded))).toEqual(decoded);
  });
});

/** As workers of protocol 1 wrote them: these texts never change. */
const V1_WORKER_FRAMES = [
  `{"type":"hello","protocol":1,"workerId":"w","instanceId":"${taskId}","region":"ap-guangzhou","version":"0.1.0","capacityUnits":200,"load":{"units":4},"running":[{"taskId":"${taskId}","attempt":1,"state":"pushing","positionMs":5000,"durationMs":null,"bitRateKbps":2000,"fps":30,"droppedFrames":0,"plan":null}],"draining":false}`,
  `{"type":"accepted","taskId":"${taskId}","attempt":1}`,
  `{"type":"refused","taskId":"${taskId}","attempt":1,"error":{"code":"ResourceInsufficient","message":"full","retryable":true}}`,
  `{"type":"report","load":{"units":4},"tasks":[{"taskId":"${taskId}","attempt":1,"state":"reconnecting","positionMs":5000,"durationMs":30000,"bitRateKbps":0,"fps":0,"droppedFrames":2,"plan":{"video":"copy","audio":"generate","reasons":["no audio"]}}]}`,
  `{"type":"ended","taskId":"${taskId}","attempt":1,"positionMs":30000,"outcome":{"name":"finished"}}`,
  `{"type":"ended","taskId":"${taskId}","attempt":1,"positionMs":8000,"outcome":{"name":"released"}}`,
  `{"type":"logs","taskId":"${taskId}","attempt":1,"lines":[{"atMs":1,"level":"info","message":"task starts"}]}`,
  `{"type":"draining","reason":"the worker got SIGTERM"}`,
];

describe("Worker of the previous protocol version", () => {
  it.each(V1_WORKER_FRAMES)("is understood: %s", (text) => {
    expect(encodeFrame(decodeFrame(workerFrameSchema, text))).toBe(text);
  });
});
