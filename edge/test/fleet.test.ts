import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import {
  CLOSE,
  MAX_RUNNING_TASKS,
  mintWorkerToken,
  type NewCredential,
  PROTOCOL_VERSION,
  VERSION,
  type WorkerList,
} from "@roomcast/shared";
import { describe, expect, it, vi } from "vitest";
import { Region } from "../src/objects/region/region.ts";
import { Task } from "../src/objects/task/task.ts";
import { eventually } from "./eventually.test-support.ts";
import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import {
  ADMIN,
  APP,
  call,
  fresh,
  KEYED_APP,
  KEYED_APP_SECRET,
  OLDER_WORKER_TOKEN_KEY,
  pushBody,
  reaches,
  start,
  userSig,
  WORKER_TOKEN_KEY,
} from "./fixtures.test-support.ts";
import { running } from "./running-push.test-support.ts";

function mint(key: string, lifetimeS: number): Promise<string> {
  return mintWorkerToken({ workerId: "w", regions: ["ap-one"], key, lifetimeS });
}

function place() {
  return { workerId: fresh("w"), region: fresh("ap") };
}

const hello = (rest: object) =>
  JSON.stringify({
    type: "hello",
    protocol: PROTOCOL_VERSION,
    workerId: "w-hostile",
    instanceId: crypto.randomUUID(),
    region: "ap-hostile",
    version: "1",
    capacityUnits: 1,
    load: { units: 0 },
    running: [],
    draining: false,
    ...rest,
  });

/** Returns a user of whom no other test has a push, because a second push would add a line to the log. */
async function ownUser(): Promise<{ rest: Record<string, unknown> }> {
  const UserId = fresh("user");
  return { rest: { UserId, UserSig: await userSig({ userId: UserId }) } };
}

describe("Worker fleet", () => {
  it.each([
    ["is missing", null, "ap-one", "AuthFailure.InvalidWorkerToken"],
    ["is garbage", "x.y.z", "ap-one", "AuthFailure.InvalidWorkerToken"],
    ["is signed with another key", "other-key", "ap-one", "AuthFailure.InvalidWorkerToken"],
    ["has expired", "expired", "ap-one", "AuthFailure.InvalidWorkerToken"],
    ["is for another region", "good", "ap-two", "AuthFailure.InvalidWorkerToken"],
  ])("does not admit a worker whose token %s", async (_what, kind, region, code) => {
    const tokens: Record<string, Promise<string>> = {
      "other-key": mint("another key of thirty-two characters or more", 60),
      expired: mint(WORKER_TOKEN_KEY, -60),
      good: mint(WORKER_TOKEN_KEY, 60),
    };
    const token = kind === null ? null : ((await tokens[kind]) ?? kind);
    const response = await call(`/v1/fleet/connect?region=${region}`, {
      as: token,
      headers: { Upgrade: "websocket" },
    });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { code } });
  });

  it("admits a worker whose token was signed with an older key that is still configured", async () => {
    const token = await mint(OLDER_WORKER_TOKEN_KEY, 60);
    const headers = { Upgrade: "websocket" };
    const response = await call("/v1/fleet/connect?region=ap-one", { as: token, headers });
    expect(response.status).toBe(101);
    response.webSocket?.accept();
    response.webSocket?.close();
  });

  it("does not let a stranger with a worker's token replace it, since no answer shows the worker's instance id", async () => {
    const { at, worker, taskId } = await running();
    for (const path of ["/v1/workers", `/v1/workers?Region=${at.region}`, `/v1/tasks/${taskId}`, "/v1/tasks"]) {
      const response = await call(path, { as: ADMIN });
      expect(await response.text()).not.toContain(worker.instanceId);
    }
    const stranger = await FakeWorker.dial(at);
    stranger.hello({ ...at, running: [] });
    expect(await stranger.end()).toMatchObject({ code: CLOSE.idInUse });
    expect(worker.closed).toBeUndefined();
  });

  it("answers a hello and a report with thousands of invented tasks without calling a Task object", async () => {
    const at = place();
    const invented = Array.from({ length: 1500 }, () => reportOf({ taskId: crypto.randomUUID(), attempt: 1 }));
    const short = invented.map((report) => ({ ...report, plan: null }));
    const workerEvent = vi.spyOn(Task.prototype, "workerEvent");
    const worker = await FakeWorker.connect({ ...at, running: short });
    expect(new Set((await worker.next("welcome")).stop.map(({ taskId }) => taskId)).size).toBe(1500);
    worker.report(short);
    await worker.next("stop", ({ taskId }) => taskId === short.at(-1)?.taskId);
    expect(workerEvent.mock.calls.filter(([{ workerId }]) => workerId === at.workerId)).toEqual([]);
    workerEvent.mockRestore();
  });

  it("answers frames about invented tasks without calling a Task object", async () => {
    const at = place();
    const spies = (["workerEvent", "holds", "appendLogs", "updated"] as const).map((name) =>
      vi.spyOn(Task.prototype, name),
    );
    const worker = await FakeWorker.connect(at);
    const ref = () => ({ taskId: crypto.randomUUID(), attempt: 1 });
    const error = { code: "FailedOperation.SourceLost", message: "It is lost.", retryable: true } as const;
    worker.send({ type: "logs", ...ref(), lines: [{ atMs: 0, level: "info", message: "invented" }] });
    worker.send({ type: "updated", ...ref(), updateId: crypto.randomUUID(), error: null });
    for (const frame of [
      { type: "accepted", ...ref() },
      { type: "refused", ...ref(), error },
      { type: "confirm", ...ref() },
    ] as const) {
      worker.send(frame);
      await worker.next("stop", ({ taskId }) => taskId === frame.taskId);
    }
    const ended = ref();
    worker.ended(ended, { name: "finished" });
    await worker.next("ack", ({ taskId }) => taskId === ended.taskId);
    const refs = spies.flatMap((spy) => spy.mock.calls.map(([{ workerId }]) => workerId));
    expect(refs.filter((workerId) => workerId === at.workerId)).toEqual([]);
    for (const spy of spies) spy.mockRestore();
  });

  it.each<[string, (worker: FakeWorker) => void]>([
    ["long frames", (worker) => worker.sendRaw(`{"type":"draining","reason":""}${" ".repeat(500_000)}`)],
    [
      "reports of invented tasks",
      (worker) =>
        worker.report(Array.from({ length: 500 }, () => reportOf({ taskId: crypto.randomUUID(), attempt: 1 }))),
    ],
  ])(
    "disconnects a worker that floods the edge with %s and still serves others of its region",
    async (_what, flood) => {
      const at = place();
      const other = await FakeWorker.connect({ ...at, workerId: fresh("w") });
      const flooder = await FakeWorker.connect(at);
      for (let sent = 0; sent < 120; sent += 1) flood(flooder);
      expect(await flooder.end()).toMatchObject({ code: 1013 });
      other.report([]);
      await other.next("heartbeat");
      expect(other.closed).toBeUndefined();
    },
  );

  it("closes the socket after a hello with more tasks than a worker can run", async () => {
    const at = place();
    const worker = await FakeWorker.dial(at);
    const { plan: _plan, durationMs: _duration, ...report } = reportOf({ taskId: crypto.randomUUID(), attempt: 1 });
    const many = Array.from({ length: MAX_RUNNING_TASKS + 1 }, () => ({ ...report, plan: null, durationMs: null }));
    worker.hello({ ...at, running: many });
    expect(await worker.end()).toMatchObject({ code: CLOSE.malformedFrame });
  });

  it.each([
    ["a viewer", { sdkAppIds: [APP], role: "viewer" }],
    ["an operator", { sdkAppIds: [APP], role: "operator" }],
    ["an admin", { sdkAppIds: [APP], role: "admin" }],
  ] as const)(
    "shows %s of one application the workers that carry its tasks, without other applications' share",
    async (_who, rights) => {
      const created = await call("/v1/credentials", { method: "POST", as: ADMIN, body: rights });
      const { secretId, secretKey } = await created.json<NewCredential>();
      const own = `${secretId}.${secretKey}`;
      const { at, worker, dispatch } = await running();
      const mine = await FakeWorker.connect({ workerId: fresh("w"), region: at.region });
      const [ours, others] = await Promise.all([
        running({ rest: {} }),
        running({
          rest: { SdkAppId: KEYED_APP, UserSig: await userSig({ sdkAppId: KEYED_APP, secretKey: KEYED_APP_SECRET }) },
        }),
      ]);
      worker.report([reportOf(dispatch)], 46, 0.7);
      mine.report([], 20, 0.5);
      const seen = async (path: string, as: string) => (await call(path, { as })).json<Record<string, unknown[]>>();
      expect(await seen(`/v1/workers?Region=${at.region}`, own)).toEqual({
        edge: expect.anything(),
        lost: [],
        workers: [
          expect.objectContaining({ workerId: at.workerId, tasks: 1, loadUnits: 0, capacityUnits: 0, cpuLoad: null }),
        ],
      });
      const { workers = [] } = await seen("/v1/workers", own);
      expect(workers).toContainEqual(expect.objectContaining({ workerId: ours.at.workerId }));
      expect(JSON.stringify(workers)).not.toContain(others.at.workerId);
      const { regions = [] } = await seen("/v1/regions", own);
      expect(regions).toContainEqual(expect.objectContaining({ region: others.at.region, workers: 0, tasks: 0 }));
      expect(regions).toContainEqual(
        expect.objectContaining({ region: at.region, workers: 1, tasks: 1, loadUnits: 0 }),
      );
    },
  );

  it("shows the whole fleet with its load to callers who may see all applications", async () => {
    const { at, worker, dispatch } = await running();
    worker.report([reportOf(dispatch)], 46, 0.7);
    const path = `/v1/workers?Region=${at.region}`;
    await eventually(async () => {
      const { workers } = await (await call(path, { as: ADMIN })).json<WorkerList>();
      expect(workers).toMatchObject([{ workerId: at.workerId, tasks: 1, loadUnits: 46, cpuLoad: 0.7 }]);
    });
  });

  it("lists a lost worker for an hour, but not one that left or came back", async () => {
    const { at, worker } = await running();
    const leaving = await FakeWorker.connect({ workerId: fresh("w"), region: at.region, draining: true });
    const list = async () => (await call(`/v1/workers?Region=${at.region}`, { as: ADMIN })).json<WorkerList>();
    leaving.close();
    worker.close();
    const entry = { workerId: at.workerId, region: at.region, version: "0.1.0", tasks: 1, lostAt: expect.any(String) };
    await eventually(async () => expect(await list()).toMatchObject({ workers: [], lost: [entry] }));
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_590_000 });
    expect((await list()).lost).toHaveLength(1);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 11_000 });
    expect((await list()).lost).toEqual([]);
    vi.useRealTimers();
    await FakeWorker.connect(at);
    expect((await list()).lost).toEqual([]);
  });

  it("creates no object for a region that is only named in a query", async () => {
    const region = fresh("ap");
    const workers = vi.spyOn(Region.prototype, "workers");
    expect(await (await call(`/v1/workers?Region=${region}`, { as: ADMIN })).json()).toEqual({
      edge: { version: VERSION, protocol: PROTOCOL_VERSION },
      workers: [],
      lost: [],
    });
    expect(workers.mock.calls.filter(([name]) => name === region)).toEqual([]);
    workers.mockRestore();
  });

  it("refuses a plain HTTP request to the address for workers", async () => {
    const token = await mintWorkerToken({ workerId: "w", regions: ["ap-one"], key: WORKER_TOKEN_KEY, lifetimeS: 60 });
    expect((await call("/v1/fleet/connect?region=ap-one", { as: token })).status).toBe(405);
    expect((await call("/v1/fleet/connect", { as: token })).status).toBe(400);
  });

  it("welcomes a worker with its intervals and then lists it", async () => {
    const at = place();
    const worker = await FakeWorker.connect(at);
    expect(await worker.next("welcome")).toEqual({
      type: "welcome",
      protocol: PROTOCOL_VERSION,
      reportIntervalMs: 1000,
      heartbeatTimeoutMs: 6000,
      keep: [],
      stop: [],
    });
    const response = await call(`/v1/workers?Region=${at.region}`, { as: ADMIN });
    expect(await response.json()).toMatchObject({
      workers: [{ ...at, capacityUnits: 200, loadUnits: 0, reservedUnits: 0, tasks: 0, draining: false }],
    });
    const all = await (await call("/v1/workers", { as: ADMIN })).json<{ workers: { workerId: string }[] }>();
    expect(all.workers.map(({ workerId }) => workerId)).toContain(at.workerId);
  });

  it.each<[string, string | ArrayBuffer, number, RegExp]>([
    ["not JSON", "{", CLOSE.malformedFrame, /not JSON/],
    ["binary", new ArrayBuffer(8), CLOSE.malformedFrame, /must be text/],
    ["too long", `"${"x".repeat(600_000)}"`, CLOSE.malformedFrame, /too long/],
    ["of an unknown type", '{"type":"shutdown"}', CLOSE.malformedFrame, /malformed/],
    ["a report before the hello", '{"type":"report","load":{"units":0},"tasks":[]}', CLOSE.malformedFrame, /hello/],
    ["a hello without a field", hello({ instanceId: undefined }), CLOSE.malformedFrame, /instanceId/],
    ["a hello with a negative load", hello({ load: { units: -1 } }), CLOSE.malformedFrame, /load/],
    [
      "a hello of another protocol",
      '{"type":"hello","protocol":99,"novelty":{}}',
      CLOSE.protocolMismatch,
      /protocols 1 to 3/,
    ],
    ["a hello of a protocol too old", hello({ protocol: 0 }), CLOSE.protocolMismatch, /protocols 1 to 3/],
    ["a hello in another's name", hello({ workerId: "w-other" }), CLOSE.unauthorized, /another worker/],
    ["a hello for another region", hello({ region: "ap-other" }), CLOSE.malformedFrame, /another region/],
  ])("closes the socket with a reason when the first frame is %s", async (_what, frame, code, reason) => {
    const worker = await FakeWorker.dial({ workerId: "w-hostile", region: "ap-hostile" });
    worker.sendRaw(frame);
    const end = await worker.end();
    expect(end.code).toBe(code);
    expect(end.reason).toMatch(reason);
  });

  it("closes the socket after a second hello, which counts as a malformed frame", async () => {
    const at = place();
    const worker = await FakeWorker.connect(at);
    worker.hello(at);
    expect(await worker.end()).toMatchObject({ code: CLOSE.malformedFrame });
  });

  it("replaces the old socket of a worker that connects again, which keeps its task", async () => {
    const at = place();
    const first = await FakeWorker.connect(at);
    const taskId = await start(await pushBody({ Region: at.region }));
    const dispatch = await first.next("dispatch");
    first.report([reportOf(dispatch)]);
    await reaches(taskId, "pushing");

    const second = await FakeWorker.connect({ ...at, instanceId: first.instanceId, running: [reportOf(dispatch)] });
    expect(await first.end()).toMatchObject({ code: CLOSE.replaced });
    expect(await second.next("welcome")).toMatchObject({ keep: [{ taskId, attempt: 1 }], stop: [] });
    second.ended(dispatch, { name: "finished" });
    await second.next("ack");
    expect(await reaches(taskId, "finished")).toMatchObject({ attempt: 1 });
  });

  it("returns the close frame to a worker that closes its socket", async () => {
    const worker = await FakeWorker.connect(place());
    worker.close();
    expect(await worker.end()).toEqual({ code: 1000, reason: expect.any(String) });
  });

  it("answers a report with a heartbeat", async () => {
    const worker = await FakeWorker.connect(place());
    worker.report([]);
    await expect(worker.next("heartbeat")).resolves.toEqual({ type: "heartbeat" });
  });

  it("stops an unknown task and acknowledges its end", async () => {
    const worker = await FakeWorker.connect(place());
    const ghost = { taskId: crypto.randomUUID(), attempt: 1 };
    worker.report([reportOf(ghost)]);
    expect(await worker.next("stop")).toMatchObject({ ...ghost, how: "now" });
    worker.ended(ghost, { name: "aborted", reason: "stopped" });
    expect(await worker.next("ack")).toMatchObject(ghost);
  });

  it("stops tasks of a hello that do not belong to the worker", async () => {
    const ghost = { taskId: crypto.randomUUID(), attempt: 3 };
    const worker = await FakeWorker.connect({ ...place(), running: [reportOf(ghost)] });
    expect(await worker.next("welcome")).toMatchObject({ keep: [], stop: [ghost] });
  });

  it("gives no new task to a draining worker", async () => {
    const region = fresh("ap");
    const leaving = await FakeWorker.connect({ workerId: fresh("w"), region });
    leaving.send({ type: "draining", reason: "SIGTERM" });
    leaving.report([]);
    await leaving.next("heartbeat");
    const taskId = await start(await pushBody({ Region: region }));
    const staying = await FakeWorker.connect({ workerId: fresh("w"), region });
    expect(await staying.next("dispatch")).toMatchObject({ taskId });
    expect(leaving.frames.some(({ type }) => type === "dispatch")).toBe(false);
  });

  it("reserves units for tasks that were dispatched but not reported yet", async () => {
    const region = fresh("ap");
    // The capacity suffices for two tasks whose cost is not known yet.
    const worker = await FakeWorker.connect({ workerId: fresh("w"), region, capacityUnits: 25 });
    const ids = await Promise.all([1, 2, 3].map(async () => start(await pushBody({ Region: region }))));
    await worker.next("dispatch", ({ taskId }) => taskId !== undefined);
    const { workers } = await (await call(`/v1/workers?Region=${region}`, { as: ADMIN })).json<{
      workers: { reservedUnits: number }[];
    }>();
    expect(workers[0]?.reservedUnits).toBeLessThanOrEqual(20);

    // Once both tasks are reported as cheap, the third one fits too.
    const dispatched = () => worker.frames.filter((frame) => frame.type === "dispatch");
    await worker.next("dispatch", () => dispatched().length === 2);
    worker.report(dispatched().map((frame) => reportOf(frame)));
    await worker.next("dispatch", () => dispatched().length === 3);
    expect(
      dispatched()
        .map(({ taskId }) => taskId)
        .toSorted(),
    ).toEqual(ids.toSorted());
  });

  it("keeps sockets, hellos, reservations and load when the region hibernates", async () => {
    const at = place();
    const region = env.REGION.getByName(at.region);
    const worker = await FakeWorker.dial(at);
    await evictDurableObject(region);
    worker.hello(at);
    await worker.next("welcome");
    await evictDurableObject(region);
    const taskId = await start(await pushBody({ Region: at.region }));
    const dispatch = await worker.next("dispatch");
    await evictDurableObject(region);
    await evictDurableObject(env.TASK.getByName(taskId));
    worker.send({ type: "accepted", taskId, attempt: 1 });
    worker.report([reportOf(dispatch)], 17);
    await reaches(taskId, "pushing");
    await evictDurableObject(region);
    await evictDurableObject(env.TASK.getByName(taskId));
    const response = await call(`/v1/workers?Region=${at.region}`, { as: ADMIN });
    expect(await response.json()).toMatchObject({ workers: [{ ...at, loadUnits: 17, reservedUnits: 0, tasks: 1 }] });
    await evictDurableObject(region);
    worker.ended(dispatch, { name: "finished" });
    await worker.next("ack");
    expect(await reaches(taskId, "finished")).toMatchObject({ attempt: 1, progress: { positionMs: 30_000 } });
  });

  it("rejects log lines for a task that another worker has", async () => {
    const { worker, at, taskId } = await running(await ownUser());
    const stranger = await FakeWorker.connect({ workerId: fresh("w"), region: at.region, capacityUnits: 0 });
    stranger.send({
      type: "logs",
      taskId,
      attempt: 1,
      lines: [{ atMs: Date.now(), level: "info", message: "forged" }],
    });
    // Once this frame is answered, the one before it has been handled too.
    stranger.send({ type: "confirm", taskId, attempt: 1 });
    await stranger.next("stop");
    worker.send({ type: "logs", taskId, attempt: 1, lines: [{ atMs: Date.now(), level: "info", message: "own" }] });
    await eventually(async () => {
      const { lines } = await (await call(`/v1/tasks/${taskId}/logs`)).json<{ lines: { message: string }[] }>();
      expect(lines.map(({ message }) => message)).toEqual(["own"]);
    });
  });

  it("accepts the last log lines of a released attempt, but only from the worker that had it", async () => {
    const { worker: first, at, taskId } = await running(await ownUser());
    const log = (worker: FakeWorker, attempt: number, message: string) =>
      worker.send({ type: "logs", taskId, attempt, lines: [{ atMs: Date.now(), level: "info", message }] });
    /** Resolves when the region has handled all earlier frames: it answers this one with a stop, as the worker does not hold the attempt. */
    const handled = async (worker: FakeWorker, attempt: number) => {
      const stops = () => worker.frames.filter(({ type }) => type === "stop").length;
      const before = stops();
      worker.send({ type: "accepted", taskId, attempt });
      await worker.next("stop", () => stops() > before);
    };
    const stranger = await FakeWorker.connect({ ...at, workerId: fresh("w"), capacityUnits: 0 });

    // No other worker has room, so the task waits.
    first.send({ type: "draining", reason: "SIGTERM" });
    first.ended({ taskId, attempt: 1 }, { name: "released" });
    await reaches(taskId, "queued");
    log(first, 1, "while it waits");
    for (const attempt of [1, 2]) log(stranger, attempt, "forged");
    log(first, 2, "of an attempt that nobody has");
    await Promise.all([handled(first, 2), handled(stranger, 2)]);

    const second = await FakeWorker.connect({ ...at, workerId: fresh("w") });
    await second.next("dispatch", (frame) => frame.taskId === taskId && frame.attempt === 2);
    log(first, 1, "after the next has begun");
    log(first, 2, "forged");
    for (const attempt of [1, 2]) log(stranger, attempt, "forged");
    await Promise.all([handled(first, 2), handled(stranger, 2)]);
    log(second, 1, "forged");
    log(second, 2, "its own");
    await eventually(async () => {
      const { lines } = await (await call(`/v1/tasks/${taskId}/logs`)).json<{
        lines: { attempt: number; message: string }[];
      }>();
      expect(lines.map(({ attempt, message }) => [attempt, message])).toEqual([
        [1, "while it waits"],
        [1, "after the next has begun"],
        [2, "its own"],
      ]);
    });
  });
});
