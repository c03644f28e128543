import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
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

/** Creates the next push for the same seat and waits until the worker has it. */
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

/** Starts a push as a user who is in no other room. */
async function runningAlone() {
  const UserId = fresh("u");
  return running({ rest: { UserId, UserSig: await userSig({ userId: UserId }) } });
}

/** Counts how often tasks asked others to give way or returned a seat to them. */
function spyOnSeat() {
  const asked = [vi.spyOn(Task.prototype, "giveWay"), vi.spyOn(Task.prototype, "returnSeat")];
  return (ids: readonly string[]) =>
    Math.max(...asked.map(({ mock }) => mock.calls.filter(([successor]) => ids.includes(successor)).length));
}

/** Raises the heartbeat timeout: on a loaded machine many pushes take longer than that, and the fake worker sends no reports unasked. */
function tolerateSilence() {
  vi.spyOn(RegionState.prototype, "config", "get").mockImplementation(() => ({
    ...readConfig(env),
    heartbeatTimeoutMs: 120_000,
  }));
}

/** Ends all dispatched tasks but the newest as replaced, as a worker does with tasks that are not in the room yet, and returns the newest. */
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

/** Resolves to the dispatched task once all others have ended as replaced. */
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

async function listed({ body }: Running, taskId: string): Promise<string | undefined> {
  const response = await call(`/v1/tasks?limit=100&SdkAppId=${String(body["SdkAppId"])}`);
  const { tasks } = await response.json<{ tasks: { taskId: string; status: string }[] }>();
  return tasks.find((task) => task.taskId === taskId)?.status;
}

describe("Takeover", () => {
  it("gives the next push to the worker that plays, even a full one, and the older push continues until the cut", async () => {
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

  it("leaves the older push on the air with its seat when the next one cannot be played", async () => {
    const push = await running();
    const { taskId, dispatch } = await next(push);
    push.worker.ended(dispatch, { name: "failed", error: GONE }, 0);
    expect(await reaches(taskId, "failed")).toMatchObject({ error: GONE });
    await holds(push, push.taskId);
    expect(stopped(push.worker, push.taskId)).toBe(false);
    expect(await view(push.taskId)).toMatchObject({ state: "pushing", attempt: 1 });

    // The older push is an ordinary push again, so it survives the loss of its worker.
    const other = await FakeWorker.connect({ ...push.at, workerId: fresh("w") });
    push.worker.close();
    expect(await other.next("dispatch")).toMatchObject({ taskId: push.taskId, attempt: 2, resumeAtMs: 5000 });
  });

  it("leaves the older push on the air when the next one is stopped before the cut", async () => {
    const push = await running();
    const { taskId, dispatch } = await next(push);
    await stop(taskId);
    push.worker.ended(dispatch, { name: "aborted", reason: "stopped" }, 0);
    await reaches(taskId, "aborted");
    await holds(push, push.taskId);
    expect(await view(push.taskId)).toMatchObject({ state: "pushing" });
  });

  it("ends the older push and moves the next one when their worker is lost before the cut", async () => {
    const push = await running();
    const { taskId } = await next(push);
    const other = await FakeWorker.connect({ ...push.at, workerId: fresh("w") });
    push.worker.close();
    expect(await other.next("dispatch")).toMatchObject({ taskId, attempt: 2 });
    expect(await reaches(push.taskId, "aborted")).toMatchObject({ reason: `replaced by ${taskId}` });
    expect(other.frames.filter(({ type }) => type === "dispatch")).toHaveLength(1);
    await holds(push, taskId);
  });

  it("aborts an older push at once when that is still waiting for a worker", async () => {
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

  it("ends the older push first and starts the next one elsewhere when the worker is draining", async () => {
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

  it("still cuts without a gap when the worker's socket was lost for a moment", async () => {
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

  it("ends the older push first when the next one requests another region", async () => {
    const push = await running();
    const far = { workerId: fresh("w"), region: fresh("ap") };
    const worker = await FakeWorker.connect(far);
    const taskId = await start({ ...push.body, Region: far.region });
    await push.worker.next("stop", (frame) => frame.taskId === push.taskId);
    push.worker.ended(push.dispatch, { name: "aborted", reason: "stopped" });
    expect(await worker.next("dispatch")).toMatchObject({ taskId });
  });

  it("places the next push in the region of the older one when it requests none", async () => {
    const push = await running();
    const { Region: _pinned, ...anywhere } = push.body;
    const taskId = await start(anywhere);
    await push.worker.next("dispatch", (frame) => frame.taskId === taskId);
    expect(await view(taskId)).toMatchObject({ region: push.at.region, workerId: push.at.workerId });
  });

  it("ends the older push first when the worker refuses the next one beside it", async () => {
    const push = await running();
    const { taskId, dispatch } = await next(push);
    const busy = { code: "ResourceInsufficient", message: "No room.", retryable: true } as const;
    push.worker.send({ type: "refused", taskId, attempt: 1, error: busy });
    await push.worker.next("stop", (frame) => frame.taskId === push.taskId);
    push.worker.ended(push.dispatch, { name: "aborted", reason: "stopped" });
    expect(await push.worker.next("dispatch", (frame) => frame.attempt === 2)).toMatchObject({ taskId });
    expect(dispatch.attempt).toBe(1);
  });

  it("gives the seat of the playing push to the newest of three", async () => {
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

  it("returns the seat to the playing push when the newest of three cannot be played", async () => {
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

  it("stops the older push on a worker that reports both as pushing", async () => {
    const push = await running();
    const { taskId, dispatch } = await next(push);
    push.worker.report([reportOf(push.dispatch), reportOf(dispatch)]);
    expect(await push.worker.next("stop")).toMatchObject({ taskId: push.taskId, reason: `replaced by ${taskId}` });
  });

  it("ends the older push as replaced, not failed, when a worker without takeover displaces it from the room", async () => {
    const push = await running();
    const { taskId } = await next(push);
    const error = {
      code: "FailedOperation.RoomReplaced",
      message: "Another publisher came.",
      retryable: false,
    } as const;
    push.worker.ended(push.dispatch, { name: "failed", error });
    expect(await reaches(push.taskId, "aborted")).toMatchObject({ reason: `replaced by ${taskId}`, error: null });
  });

  it("refuses a push with OnConflict=reject while the seat is held, and names the holder", async () => {
    const push = await runningAlone();
    const rejecting = { ...push.body, OnConflict: "reject" };
    const response = await call("/", { method: "POST", body: rejecting, headers: { "Idempotency-Key": fresh("key") } });
    expect(response.status).toBe(409);
    const { error } = await response.json<{ error: { code: string; message: string } }>();
    expect(error.code).toBe("ResourceInUse.Seat");
    expect(error.message).toContain(push.taskId);
    expect(await view(push.taskId)).toMatchObject({ state: "pushing" });
    await holds(push, push.taskId);

    push.worker.ended(push.dispatch, { name: "finished" });
    await push.worker.next("ack");
    await expect(start(rejecting)).resolves.toMatch(/^[0-9a-f-]{36}$/);
  });

  it("accepts a push with OnConflict=reject when the directory still lists an ended task as the holder", async () => {
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

  it("stores nothing for a deleted task that is asked to give way", async () => {
    const never = env.TASK.getByName(crypto.randomUUID());
    expect(await never.giveWay(crypto.randomUUID())).toEqual({ kind: "gone" });
    await runInDurableObject(never, async (_task, { storage }) => {
      expect([...(await storage.list()).keys()]).toEqual([]);
    });
  });

  it("runs one of 60 simultaneous pushes for a seat with a few calls between tasks for each", async () => {
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

  it("needs only a few calls between tasks for each push whose object is created before the next push comes", async () => {
    tolerateSilence();
    const askedFor = spyOnSeat();
    const region = fresh("ap");
    const worker = await FakeWorker.connect({ workerId: fresh("w"), region });
    const body = await pushBody({ Region: region });
    const ids: string[] = [];
    for (let n = 0; n < 40; n += 1) {
      const taskId = await start(body);
      ids.push(taskId);
      // Viewing the task creates its object before the next push comes.
      await view(taskId);
      cut(worker);
    }
    await oneIsLeft(ids, worker);
    // If each task asked all earlier ones, there would be at least 780 calls.
    expect(askedFor(ids)).toBeLessThan(8 * ids.length);
  }, 120_000);

  it("leaves the seat to a push that starts now when a simultaneous push starts later", async () => {
    const push = await running();
    const create = vi.spyOn(Task.prototype, "create").mockRejectedValue(new Error("the runtime was restarted"));
    const now = await start(push.body);
    const later = await start({ ...push.body, StartAt: new Date(Date.now() + 3_600_000).toISOString() });
    create.mockRestore();
    expect(await view(later)).toMatchObject({ state: "queued" });
    await push.worker.next("dispatch", ({ taskId }) => taskId === now);
    expect(await view(push.taskId)).toMatchObject({ state: "pushing" });
  });
});
