import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { readConfig } from "../src/base/config.ts";
import { RegionState } from "../src/objects/region/region-state.ts";
import { Task } from "../src/objects/task/task.ts";
import { eventually } from "./eventually.test-support.ts";
import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import { call, fresh, pushBody, reaches, start, userSig, view } from "./fixtures.test-support.ts";
import { running, stop } from "./running-push.test-support.ts";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

type Running = Awaited<ReturnType<typeof running>>;

/** Posts the next clip for the same seat and waits until its worker has it. */
async function next(push: Running, worker = push.worker, rest: Record<string, unknown> = {}) {
  const taskId = await start({ ...push.body, VideoSrc: "https://media.example/next.mp4", ...rest });
  const dispatch = await worker.next("dispatch", (frame) => frame.taskId === taskId);
  return { taskId, dispatch };
}

function seatHolder({ body }: Running): Promise<string | undefined> {
  const key = `${String(body["SdkAppId"])}/string/${String(body["StrRoomId"])}/${String(body["UserId"])}`;
  return runInDurableObject(env.DIRECTORY.getByName(String(body["SdkAppId"])), (_directory, { storage }) => {
    const rows = storage.sql.exec<{ task_id: string }>("SELECT task_id FROM seat WHERE seat_key = ?", key).toArray();
    return rows[0]?.task_id;
  });
}

function holds(push: Running, taskId: string | undefined): Promise<void> {
  return eventually(async () => expect(await seatHolder(push)).toBe(taskId));
}

function stopped(worker: FakeWorker, taskId: string): boolean {
  return worker.frames.some((frame) => frame.type === "stop" && frame.taskId === taskId);
}

const GONE = { code: "FailedOperation.SourceNotFound", message: "It is not there.", retryable: false } as const;

test("the next clip goes to the worker that plays, full or not, and the clip before plays on until the cut", async () => {
  const push = await running();
  await FakeWorker.connect({ ...push.at, workerId: fresh("w") });
  push.worker.report([reportOf(push.dispatch)], 200);
  await push.worker.next("heartbeat");
  const { taskId, dispatch } = await next(push);
  expect(dispatch).toMatchObject({ attempt: 1, resumeAtMs: null });
  expect(stopped(push.worker, push.taskId)).toBe(false);
  expect(await view(push.taskId)).toMatchObject({ state: "pushing" });

  push.worker.ended({ taskId: push.taskId, attempt: 1 }, { name: "aborted", reason: `replaced by ${taskId}` }, 9000);
  push.worker.report([reportOf(dispatch)]);
  await reaches(taskId, "pushing");
  const before = await reaches(push.taskId, "aborted");
  expect(before).toMatchObject({ reason: `replaced by ${taskId}`, error: null, progress: { positionMs: 9000 } });
  await holds(push, taskId);
});

test("a next clip that cannot be played leaves the one before on the air, with its seat", async () => {
  const push = await running();
  const { taskId, dispatch } = await next(push);
  push.worker.ended(dispatch, { name: "failed", error: GONE }, 0);
  expect(await reaches(taskId, "failed")).toMatchObject({ error: GONE });
  await holds(push, push.taskId);
  expect(stopped(push.worker, push.taskId)).toBe(false);
  expect(await view(push.taskId)).toMatchObject({ state: "pushing", attempt: 1 });

  // It is a push like any other again: it survives its worker.
  const other = await FakeWorker.connect({ ...push.at, workerId: fresh("w") });
  push.worker.close();
  expect(await other.next("dispatch")).toMatchObject({ taskId: push.taskId, attempt: 2, resumeAtMs: 5000 });
});

test("a next clip that is stopped before the cut leaves the one before on the air", async () => {
  const push = await running();
  const { taskId, dispatch } = await next(push);
  await stop(taskId);
  push.worker.ended(dispatch, { name: "aborted", reason: "stopped" }, 0);
  await reaches(taskId, "aborted");
  await holds(push, push.taskId);
  expect(await view(push.taskId)).toMatchObject({ state: "pushing" });
});

test("a worker that is lost before the cut ends the one before, and the next clip goes elsewhere", async () => {
  const push = await running();
  const { taskId } = await next(push);
  const other = await FakeWorker.connect({ ...push.at, workerId: fresh("w") });
  push.worker.close();
  expect(await other.next("dispatch")).toMatchObject({ taskId, attempt: 2 });
  expect(await reaches(push.taskId, "aborted")).toMatchObject({ reason: `replaced by ${taskId}` });
  expect(other.frames.filter(({ type }) => type === "dispatch")).toHaveLength(1);
  await holds(push, taskId);
});

test("a clip that only waits for a worker is aborted at once by the next one", async () => {
  const at = { workerId: fresh("w"), region: fresh("ap") };
  const push = await running({ at });
  push.worker.ended(push.dispatch, { name: "finished" });
  await reaches(push.taskId, "finished");
  const elsewhere = await pushBody({ ...push.body, Region: fresh("ap") });
  const waiting = await start(elsewhere);
  const worker = await FakeWorker.connect({ workerId: fresh("w"), region: fresh("ap") });
  const taskId = await start(await pushBody({ ...elsewhere, Region: fresh("ap") }));
  expect(await reaches(waiting, "aborted")).toMatchObject({ reason: `replaced by ${taskId}`, workerId: null });
  await holds(push, taskId);
  expect(worker.frames.some(({ type }) => type === "dispatch")).toBe(false);
});

test("where the worker is leaving, the one before ends first and the next clip starts elsewhere then", async () => {
  const push = await running();
  const other = await FakeWorker.connect({ ...push.at, workerId: fresh("w") });
  push.worker.send({ type: "draining", reason: "SIGTERM" });
  push.worker.report([reportOf(push.dispatch)]);
  await push.worker.next("heartbeat", () => push.worker.frames.filter(({ type }) => type === "heartbeat").length > 1);
  const taskId = await start({ ...push.body, VideoSrc: "https://media.example/next.mp4" });
  expect(await push.worker.next("stop")).toMatchObject({ taskId: push.taskId, reason: `replaced by ${taskId}` });
  expect(other.frames.some(({ type }) => type === "dispatch")).toBe(false);
  push.worker.ended(push.dispatch, { name: "aborted", reason: "stopped" });
  expect(await other.next("dispatch")).toMatchObject({ taskId, attempt: 1 });
  expect(await reaches(push.taskId, "aborted")).toMatchObject({ reason: `replaced by ${taskId}` });
});

test("a worker that has only lost its socket for a moment still cuts without a gap", async () => {
  const push = await running();
  push.worker.close();
  const taskId = await start({ ...push.body, VideoSrc: "https://media.example/next.mp4" });
  const back = await FakeWorker.connect({
    ...push.at,
    instanceId: push.worker.instanceId,
    running: [reportOf(push.dispatch)],
  });
  await back.next("dispatch", (frame) => frame.taskId === taskId);
  expect(stopped(back, push.taskId)).toBe(false);
  expect(await view(push.taskId)).toMatchObject({ state: "pushing", attempt: 1 });
});

test("a region that is asked for counts more than the gap: the one before ends first", async () => {
  const push = await running();
  const far = { workerId: fresh("w"), region: fresh("ap") };
  const worker = await FakeWorker.connect(far);
  const taskId = await start({ ...push.body, Region: far.region });
  await push.worker.next("stop", (frame) => frame.taskId === push.taskId);
  push.worker.ended(push.dispatch, { name: "aborted", reason: "stopped" });
  expect(await worker.next("dispatch")).toMatchObject({ taskId });
});

test("where no region is asked for, the next clip follows the one before to its region", async () => {
  const push = await running();
  const { Region: _pinned, ...anywhere } = push.body;
  const taskId = await start(anywhere);
  await push.worker.next("dispatch", (frame) => frame.taskId === taskId);
  expect(await view(taskId)).toMatchObject({ region: push.at.region, workerId: push.at.workerId });
});

test("a worker that refuses the next clip beside the one before gets it after that one has ended", async () => {
  const push = await running();
  const { taskId, dispatch } = await next(push);
  const busy = { code: "ResourceInsufficient", message: "No room.", retryable: true } as const;
  push.worker.send({ type: "refused", taskId, attempt: 1, error: busy });
  await push.worker.next("stop", (frame) => frame.taskId === push.taskId);
  push.worker.ended(push.dispatch, { name: "aborted", reason: "stopped" });
  expect(await push.worker.next("dispatch", (frame) => frame.attempt === 2)).toMatchObject({ taskId });
  expect(dispatch.attempt).toBe(1);
});

test("three clips posted one after another: the newest gets the seat from the one that plays", async () => {
  const push = await running();
  const [second, third] = [await next(push), await next(push)];
  push.worker.ended(second.dispatch, { name: "aborted", reason: `replaced by ${third.taskId}` }, 0);
  expect(await reaches(second.taskId, "aborted")).toMatchObject({ reason: `replaced by ${third.taskId}` });
  await eventually(async () => expect(await listed(push, second.taskId)).toBe("ABORTED"));
  expect(await view(push.taskId)).toMatchObject({ state: "pushing" });
  await holds(push, third.taskId);

  push.worker.ended(push.dispatch, { name: "aborted", reason: `replaced by ${third.taskId}` });
  push.worker.report([reportOf(third.dispatch)]);
  await reaches(third.taskId, "pushing");
  expect(await reaches(push.taskId, "aborted")).toMatchObject({ reason: `replaced by ${third.taskId}` });
});

test("where the newest of three cannot be played, the one that plays has its seat again", async () => {
  const push = await running();
  const [second, third] = [await next(push), await next(push)];
  push.worker.ended(second.dispatch, { name: "aborted", reason: `replaced by ${third.taskId}` }, 0);
  push.worker.ended(third.dispatch, { name: "failed", error: GONE }, 0);
  await reaches(third.taskId, "failed");
  await holds(push, push.taskId);
  expect(await view(push.taskId)).toMatchObject({ state: "pushing" });
  const last = await next(push);
  push.worker.report([reportOf(last.dispatch)]);
  await reaches(last.taskId, "pushing");
});

test("a worker that plays both is told to end the one before", async () => {
  const push = await running();
  const { taskId, dispatch } = await next(push);
  push.worker.report([reportOf(push.dispatch), reportOf(dispatch)]);
  expect(await push.worker.next("stop")).toMatchObject({ taskId: push.taskId, reason: `replaced by ${taskId}` });
});

test("a worker without takeover pushes the one before out of its room: that is no failure", async () => {
  const push = await running();
  const { taskId } = await next(push);
  const error = { code: "FailedOperation.RoomReplaced", message: "Another publisher came.", retryable: false } as const;
  push.worker.ended(push.dispatch, { name: "failed", error });
  expect(await reaches(push.taskId, "aborted")).toMatchObject({ reason: `replaced by ${taskId}`, error: null });
});

/** A push as a user that is in no other room. */
async function runningAlone() {
  const UserId = fresh("u");
  return running({ rest: { UserId, UserSig: await userSig({ userId: UserId }) } });
}

test("a push that rejects conflicts is refused while the seat is held, and names who holds it", async () => {
  const push = await runningAlone();
  const wish = { ...push.body, OnConflict: "reject" };
  const response = await call("/", { method: "POST", body: wish, headers: { "Idempotency-Key": fresh("key") } });
  expect(response.status).toBe(409);
  const { error } = await response.json<{ error: { code: string; message: string } }>();
  expect(error.code).toBe("ResourceInUse.Seat");
  expect(error.message).toContain(push.taskId);
  expect(await view(push.taskId)).toMatchObject({ state: "pushing" });
  await holds(push, push.taskId);

  push.worker.ended(push.dispatch, { name: "finished" });
  await push.worker.next("ack");
  await expect(start(wish)).resolves.toMatch(/^[0-9a-f-]{36}$/);
});

test("a seat that the directory still shows as held by an ended task is free for who rejects conflicts", async () => {
  const push = await runningAlone();
  push.worker.ended(push.dispatch, { name: "finished" });
  await push.worker.next("ack");
  await holds(push, undefined);
  await runInDurableObject(env.DIRECTORY.getByName(String(push.body["SdkAppId"])), (_directory, { storage }) => {
    const key = `${String(push.body["SdkAppId"])}/string/${String(push.body["StrRoomId"])}/${String(push.body["UserId"])}`;
    storage.sql.exec("INSERT INTO seat VALUES (?, ?)", key, push.taskId);
  });
  await expect(start({ ...push.body, OnConflict: "reject" })).resolves.toMatch(/^[0-9a-f-]{36}$/);
});

test("a task that was deleted gives way, and nothing comes back of it", async () => {
  const never = env.TASK.getByName(crypto.randomUUID());
  expect(await never.giveWay(crypto.randomUUID())).toEqual({ kind: "gone" });
  await runInDurableObject(never, async (_task, { storage }) => {
    expect([...(await storage.list()).keys()]).toEqual([]);
  });
});

/** Counts how often tasks told others to give way, and to stay. */
function spyOnSeat() {
  const asked = [vi.spyOn(Task.prototype, "giveWay"), vi.spyOn(Task.prototype, "returnSeat")];
  return (ids: readonly string[]) =>
    Math.max(...asked.map(({ mock }) => mock.calls.filter(([successor]) => ids.includes(successor)).length));
}

/** A loaded machine takes longer for many pushes at once than a worker may be silent, and the fake worker only answers. */
function tolerateSilence() {
  vi.spyOn(RegionState.prototype, "config", "get").mockImplementation(() => ({
    ...readConfig(env),
    heartbeatTimeoutMs: 120_000,
  }));
}

/** What was dispatched last; what came before it for the seat ends, as a worker ends what is not in the room yet. */
function cut(worker: FakeWorker): string | undefined {
  const dispatched = worker.frames.filter((frame) => frame.type === "dispatch");
  const newest = dispatched.at(-1)?.taskId;
  // The edge must not take the worker for lost while all of this takes long.
  worker.report([]);
  for (const replaced of dispatched.slice(0, -1)) {
    worker.ended(replaced, { name: "aborted", reason: `replaced by ${newest}` }, 0);
  }
  return newest;
}

/** The one that is dispatched, once all others have ended as replaced. */
function oneIsLeft(ids: readonly string[], worker: FakeWorker): Promise<string> {
  return vi.waitFor(
    async () => {
      const tasks = await Promise.all(ids.map(view));
      const left = tasks.filter(({ state }) => state !== "aborted");
      expect(tasks.filter(({ reason }) => reason?.startsWith("replaced by ")).length + left.length).toBe(ids.length);
      const newest = cut(worker) ?? "";
      expect(left.map(({ taskId }) => taskId)).toEqual([newest]);
      return newest;
    },
    { timeout: 110_000, interval: 200 },
  );
}

test("of 60 pushes for one seat at once one runs, and the others ask each other a few things each", async () => {
  tolerateSilence();
  const askedFor = spyOnSeat();
  const push = await running();
  const ids = await Promise.all(Array.from({ length: 60 }, () => start(push.body)));
  const newest = await oneIsLeft([push.taskId, ...ids], push.worker);
  expect(ids).toContain(newest);
  push.worker.report([reportOf(await push.worker.next("dispatch", ({ taskId }) => taskId === newest))]);
  await reaches(newest, "pushing");
  await holds(push, newest);
  await eventually(async () => {
    const statuses = await Promise.all([push.taskId, ...ids].map((taskId) => listed(push, taskId)));
    expect(statuses.filter((status) => status === "ABORTED")).toHaveLength(60);
  });
  expect(askedFor(ids)).toBeLessThan(4 * ids.length);
}, 120_000);

test("pushes for one seat whose objects are made one by one ask each other a few things each as well", async () => {
  tolerateSilence();
  const askedFor = spyOnSeat();
  const region = fresh("ap");
  const worker = await FakeWorker.connect({ workerId: fresh("w"), region });
  const body = await pushBody({ Region: region });
  const ids: string[] = [];
  for (let n = 0; n < 40; n += 1) {
    const taskId = await start(body);
    ids.push(taskId);
    // Looking makes it, before there is a newer one.
    await view(taskId);
    cut(worker);
  }
  await oneIsLeft(ids, worker);
  // Each asking all before it would be 780 calls, which come more often on a fast machine.
  expect(askedFor(ids)).toBeLessThan(8 * ids.length);
}, 120_000);

test("a push that is to start later leaves its seat until then to one that starts now, though both come at once", async () => {
  const push = await running();
  const create = vi.spyOn(Task.prototype, "create").mockRejectedValue(new Error("the runtime was restarted"));
  const now = await start(push.body);
  const later = await start({ ...push.body, StartAt: new Date(Date.now() + 3_600_000).toISOString() });
  create.mockRestore();
  expect(await view(later)).toMatchObject({ state: "queued" });
  await push.worker.next("dispatch", ({ taskId }) => taskId === now);
  expect(await view(push.taskId)).toMatchObject({ state: "pushing" });
});

async function listed({ body }: Running, taskId: string): Promise<string | undefined> {
  const response = await call(`/v1/tasks?limit=100&SdkAppId=${String(body["SdkAppId"])}`);
  const { tasks } = await response.json<{ tasks: { taskId: string; status: string }[] }>();
  return tasks.find((task) => task.taskId === taskId)?.status;
}
