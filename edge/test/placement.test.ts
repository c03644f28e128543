import {
  type AuditList,
  CLOSE,
  decodeFrame,
  edgeFrameSchema,
  type PlanSummary,
  type RegionList,
  type TaskList,
} from "@roomcast/shared";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Task } from "../src/objects/task/task.ts";
import { eventually } from "./eventually.test-support.ts";
import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import { ADMIN, call, fresh, knowRegion, pushBody, reaches, SCHOOL, start, view } from "./fixtures.test-support.ts";
import { running } from "./running-push.test-support.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** A region, its nearest neighbour and a distant one; no other test has workers in them. */
const [HOME, NEIGHBOUR, FAR] = ["ap-tokyo", "ap-seoul", "na-ashburn"] as const;

function drain(workerId: string, method: "POST" | "DELETE", as = ADMIN): Promise<Response> {
  return call(`/v1/workers/${workerId}/drain`, { method, as });
}

async function workersOf(region: string) {
  const response = await call(`/v1/workers?Region=${region}`, { as: ADMIN });
  const { workers } = await response.json<{ workers: { workerId: string; draining: boolean; protocol: number }[] }>();
  return workers;
}

async function queueOf(name: string) {
  const { regions } = await (await call("/v1/regions", { as: ADMIN })).json<RegionList>();
  return regions.find(({ region }) => region === name);
}

describe("Placement", () => {
  it("sends a push to the nearest neighbour with room when its region has none, unless it is pinned", async () => {
    const home = await FakeWorker.connect({ workerId: fresh("w"), region: HOME, capacityUnits: 1 });
    const far = await FakeWorker.connect({ workerId: fresh("w"), region: FAR });
    const near = await FakeWorker.connect({ workerId: fresh("w"), region: NEIGHBOUR });
    await knowRegion(HOME);
    const spilled = await start(await pushBody(), { headers: { "X-TC-Region": HOME } });
    const dispatch = await near.next("dispatch");
    expect(dispatch.taskId).toBe(spilled);
    near.report([reportOf(dispatch)]);
    expect(await reaches(spilled, "pushing")).toMatchObject({ region: NEIGHBOUR });
    await eventually(async () => {
      const listed = await (await call(`/v1/tasks?taskId=${spilled}`)).json<TaskList>();
      expect(listed.tasks).toMatchObject([{ taskId: spilled, region: NEIGHBOUR }]);
    });

    const pinned = await start(await pushBody({ Region: HOME, QueueTimeout: 1 }));
    expect(await reaches(pinned, "failed")).toMatchObject({ region: HOME, error: { code: "ResourceInsufficient" } });

    near.ended(dispatch, { name: "finished" });
    await near.next("ack");
    const { regions } = await (await call("/v1/regions", { as: ADMIN })).json<{ regions: { region: string }[] }>();
    expect(regions).toContainEqual({
      region: NEIGHBOUR,
      workers: 1,
      draining: 0,
      busy: 0,
      capacityUnits: 200,
      loadUnits: 4,
      reservedUnits: 0,
      tasks: 0,
      waiting: 0,
    });
    for (const worker of [home, far, near]) worker.close();
  });

  it("fails a task that waits longer than its QueueTimeout", async () => {
    const taskId = await start(await pushBody({ Region: fresh("ap"), QueueTimeout: 1 }));
    const task = await reaches(taskId, "failed");
    expect(task).toMatchObject({ error: { code: "ResourceInsufficient", retryable: true } });
    expect(Date.parse(task.endedAt ?? "") - Date.parse(task.createdAt)).toBeLessThan(10_000);
  });

  it("takes the tasks of a drained worker, gives it no new ones and keeps it drained when it reconnects", async () => {
    const at = { workerId: fresh("w"), region: fresh("ap") };
    const worker = await FakeWorker.connect(at);
    const taskId = await start(await pushBody({ Region: at.region }));
    const dispatch = await worker.next("dispatch");
    worker.report([reportOf(dispatch)]);
    await reaches(taskId, "pushing");

    expect((await drain(at.workerId, "POST")).status).toBe(200);
    expect(await worker.next("release")).toMatchObject({ taskId, attempt: 1 });
    worker.ended(dispatch, { name: "released" }, 8000);
    await worker.next("ack");
    await reaches(taskId, "queued");
    worker.close();
    const again = await FakeWorker.connect({ ...at, instanceId: worker.instanceId });
    expect(await workersOf(at.region)).toMatchObject([{ ...at, draining: true }]);
    expect(await view(taskId)).toMatchObject({ state: "queued", attempt: 2 });

    expect((await drain(at.workerId, "DELETE")).status).toBe(200);
    expect(await again.next("dispatch")).toMatchObject({ taskId, attempt: 2, resumeAtMs: 8000 });
    const { lines } = await (await call("/v1/audit", { as: ADMIN })).json<AuditList>();
    expect(lines.filter(({ subject }) => subject === at.workerId)).toMatchObject([
      { by: "admin", action: "worker.undrain" },
      { by: "admin", action: "worker.drain" },
    ]);
  });

  it("lets only admins of all applications drain workers, and only known workers", async () => {
    const { workerId, region } = { workerId: fresh("w"), region: fresh("ap") };
    const worker = await FakeWorker.connect({ workerId, region });
    const admitted = await call("/v1/credentials", {
      as: ADMIN,
      method: "POST",
      body: { sdkAppIds: [1400000001], role: "admin" },
    });
    const { secretId, secretKey } = await admitted.json<{ secretId: string; secretKey: string }>();
    const adminOfOneApp = `${secretId}.${secretKey}`;
    for (const [id, as, method, status] of [
      [workerId, SCHOOL, "POST", 403],
      [workerId, adminOfOneApp, "POST", 403],
      [workerId, adminOfOneApp, "DELETE", 403],
      [fresh("nobody"), ADMIN, "POST", 404],
      [workerId, ADMIN, "DELETE", 404],
      ["not%20an%20id", ADMIN, "POST", 400],
    ] as const) {
      expect((await drain(id, method, as)).status).toBe(status);
    }
    expect((await call(`/v1/workers/${workerId}/drain`, { as: ADMIN })).status).toBe(405);
    worker.close();
  });

  it("refuses another process with a connected worker's id until that worker is gone", async () => {
    const at = { workerId: fresh("w"), region: fresh("ap") };
    const first = await FakeWorker.connect(at);
    const second = await FakeWorker.dial(at);
    second.hello(at);
    expect(await second.end()).toMatchObject({ code: CLOSE.idInUse });
    expect(first.closed).toBeUndefined();
    first.close();
    const third = await FakeWorker.connect(at);
    third.report([]);
    await third.next("heartbeat");
  });

  it("confirms the current attempt of a task and stops any other", async () => {
    const at = { workerId: fresh("w"), region: fresh("ap") };
    const worker = await FakeWorker.connect(at);
    const taskId = await start(await pushBody({ Region: at.region }));
    const dispatch = await worker.next("dispatch");
    worker.send({ type: "confirm", taskId, attempt: dispatch.attempt });
    expect(await worker.next("confirmed")).toEqual({ type: "confirmed", taskId, attempt: 1 });
    worker.send({ type: "confirm", taskId, attempt: 7 });
    expect(await worker.next("stop")).toMatchObject({ taskId, attempt: 7, how: "now" });
  });

  it("speaks protocol 1 with an older worker and gives it only requests that it supports", async () => {
    const region = fresh("ap");
    const old = await FakeWorker.connect({ workerId: fresh("old"), region, protocol: 1 });
    expect(await old.next("welcome")).toMatchObject({ protocol: 1 });
    const simple = await start(await pushBody({ Region: region, OnConflict: "replace", QueueTimeout: 60 }));
    const dispatch = await old.next("dispatch");
    // These are exactly the fields that a worker of protocol 1 knows; it refuses a request with any other field.
    expect(Object.keys(dispatch.request).toSorted()).toEqual(
      ["Mode", "Redis", "Region", "SdkAppId", "StrRoomId", "UserId", "UserSig", "VideoSrc"].toSorted(),
    );
    expect(dispatch.taskId).toBe(simple);

    const newer = await start(await pushBody({ Region: region, Volume: 50 }));
    const young = await FakeWorker.connect({ workerId: fresh("young"), region });
    expect(await young.next("dispatch")).toMatchObject({ taskId: newer, request: { Volume: 50 } });
    expect(old.frames.filter(({ type }) => type === "dispatch")).toHaveLength(1);
    // The older worker never received a frame of a type that it does not know.
    const known = ["welcome", "dispatch", "stop", "ack", "heartbeat"];
    for (const frame of old.frames) {
      expect(known).toContain(decodeFrame(edgeFrameSchema, JSON.stringify(frame)).type);
    }
  });

  it("lets a request that needs the newest protocol wait for such a worker", async () => {
    const region = fresh("ap");
    const old = await FakeWorker.connect({ workerId: fresh("old"), region, protocol: 2 });
    const taskId = await start(
      await pushBody({ Region: region, AudioTrack: "en", Rendition: "720p", OnItemError: "fail" }),
    );
    const young = await FakeWorker.connect({ workerId: fresh("young"), region });
    expect(await young.next("dispatch")).toMatchObject({
      taskId,
      request: { AudioTrack: "en", Rendition: "720p", OnItemError: "fail" },
    });
    expect(old.frames.filter(({ type }) => type === "dispatch")).toEqual([]);
  });

  describe("when the plan of a push changes from copy to transcode while it runs", () => {
    const TRANSCODE: PlanSummary = { video: "transcode", audio: "copy", reasons: ["The next source is too large."] };

    it("shows the new plan even before its region has forwarded the report", async () => {
      const push = await running();
      vi.spyOn(Task.prototype, "workerEvent").mockResolvedValue({ kind: "holds", stop: null });
      push.worker.report([reportOf(push.dispatch, { plan: TRANSCODE })], 46);
      await eventually(async () => expect((await view(push.taskId)).plan).toMatchObject({ video: "transcode" }));
    });

    it("holds the units of the new plan on the next worker until that worker has opened the source", async () => {
      const push = await running();
      const other = await FakeWorker.connect({ ...push.at, workerId: fresh("w"), capacityUnits: 50 });
      push.worker.report([reportOf(push.dispatch, { plan: TRANSCODE })], 46);
      await eventually(async () => expect((await view(push.taskId)).plan).toMatchObject({ video: "transcode" }));
      push.worker.close();
      const moved = await other.next("dispatch", ({ taskId }) => taskId === push.taskId);
      const opening = reportOf(moved, { state: "starting", plan: null });
      other.report([opening], 10);
      await other.next("heartbeat");
      const waiting = await start(await pushBody({ Region: push.at.region }));
      await eventually(async () =>
        expect(await queueOf(push.at.region)).toMatchObject({ waiting: 1, reservedUnits: expect.closeTo(36, 0) }),
      );
      expect(other.frames.filter(({ type }) => type === "dispatch")).toHaveLength(1);

      other.report([{ ...opening, plan: { video: "copy", audio: "copy", reasons: [] } }], 4);
      await other.next("dispatch", ({ taskId }) => taskId === waiting);
    });
  });
});
