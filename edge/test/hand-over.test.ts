import { env, evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Env } from "../src/contracts/env.ts";
import { sdkAppIdOf } from "../src/model/task-id.ts";
import { Task } from "../src/objects/task/task.ts";
import { eventually } from "./eventually.test-support.ts";
import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import { ADMIN, call, fresh, pushBody, reaches, start, userSig, view } from "./fixtures.test-support.ts";
import { storedIn } from "./stored-in.test-support.ts";

const bound: Env = env;
let apps = 1_600_000_000;

afterEach(() => {
  vi.restoreAllMocks();
});

/** Prepares a push of an application that no other test uses, so its Directory is not shared either. */
async function ownPush(rest: Record<string, unknown> = {}) {
  apps += 1;
  const SdkAppId = apps;
  const directory = bound.DIRECTORY.getByName(String(SdkAppId));
  const UserSig = await userSig({ sdkAppId: SdkAppId });
  const body = await pushBody({ SdkAppId, UserSig, Region: fresh("ap"), ...rest });
  return { SdkAppId, directory, body, create: (options = {}) => start(body, { as: ADMIN, ...options }) };
}

/** Prevents Task objects from being created until the returned function is called. */
function holdObjects(): () => void {
  const create = vi.spyOn(Task.prototype, "create").mockRejectedValue(new Error("the runtime was restarted"));
  return () => create.mockRestore();
}

/** Returns the original method that creates a Task object. */
function creating(): Task["create"] {
  return Reflect.get(Task.prototype, "create");
}

async function listed(SdkAppId: number): Promise<{ taskId: string; status: string }[]> {
  const response = await call(`/v1/tasks?SdkAppId=${SdkAppId}`, { as: ADMIN });
  return (await response.json<{ tasks: { taskId: string; status: string }[] }>()).tasks;
}

describe("Hand-over of accepted tasks", () => {
  it("starts an accepted push exactly once, even if the edge restarts before the Task object exists", async () => {
    const release = holdObjects();
    const { SdkAppId, directory, body, create } = await ownPush();
    const headers = { "Idempotency-Key": fresh("key") };
    const taskId = await create({ headers });
    expect(sdkAppIdOf(taskId)).toBe(SdkAppId);
    await eventually(async () => expect(await listed(SdkAppId)).toMatchObject([{ taskId, status: "RUNNING" }]));
    await evictDurableObject(directory);
    expect(await create({ headers })).toBe(taskId);
    release();
    await runDurableObjectAlarm(directory);
    expect(await storedIn(directory)).not.toContain("sealedRequest");
    const worker = await FakeWorker.connect({ workerId: fresh("w"), region: String(body["Region"]) });
    const dispatch = await worker.next("dispatch");
    expect(dispatch).toMatchObject({ taskId, attempt: 1 });
    await bound.TASK.getByName(taskId).exists();
    expect(await create({ headers })).toBe(taskId);
    expect(await listed(SdkAppId)).toHaveLength(1);
  });

  it("does not create a Task object again when only the answer of its creation was lost", async () => {
    const create = creating();
    const spy = vi.spyOn(Task.prototype, "create").mockImplementation(async function (this: Task, ...task) {
      await create.apply(this, task);
      throw new Error("the runtime was restarted");
    });
    const push = await ownPush();
    const taskId = await push.create();
    await reaches(taskId, "queued").catch(() => undefined);
    await call(`/v1/tasks/${taskId}`, { as: ADMIN, method: "DELETE" });
    spy.mockRestore();
    await evictDurableObject(push.directory);
    await runDurableObjectAlarm(push.directory);
    expect(await storedIn(push.directory)).not.toContain("sealedRequest");
    expect(await view(taskId)).toMatchObject({ state: "aborted", attempt: 1 });
  });

  it("creates the missing Task object when a caller views, stops or changes the task or reads its log", async () => {
    const asks: [string, (taskId: string) => Promise<Response>, object][] = [
      ["GET", (taskId) => call(`/v1/tasks/${taskId}`, { as: ADMIN }), { state: "queued" }],
      ["logs", (taskId) => call(`/v1/tasks/${taskId}/logs`, { as: ADMIN }), { lines: [] }],
      ["DELETE", (taskId) => call(`/v1/tasks/${taskId}`, { as: ADMIN, method: "DELETE" }), { state: "aborted" }],
      [
        "PATCH",
        (taskId) => call(`/v1/tasks/${taskId}`, { as: ADMIN, method: "PATCH", body: { Volume: 7 } }),
        { request: { Volume: 7 } },
      ],
    ];
    for (const [name, ask, expected] of asks) {
      // The background hand-over fails here, but the creation on request succeeds.
      const release = holdObjects();
      const { create, directory } = await ownPush();
      const taskId = await create();
      await eventually(async () => expect(await storedIn(directory)).toContain(`"filed",1`));
      release();
      const response = await ask(taskId);
      expect([name, response.status, await response.json()]).toMatchObject([name, 200, expected]);
      expect(await storedIn(directory)).not.toContain("sealedRequest");
    }
  });

  it("replaces the first task of a seat by a second create when the first has no object yet", async () => {
    const release = holdObjects();
    const { SdkAppId, body, create } = await ownPush();
    const first = await create();
    const second = await create();
    release();
    const worker = await FakeWorker.connect({ workerId: fresh("w"), region: String(body["Region"]) });
    // The newer task is requested first, but it is still created after the older one.
    expect(await view(second)).toMatchObject({ taskId: second });
    const dispatch = await worker.next("dispatch");
    expect(dispatch.taskId).toBe(second);
    worker.report([reportOf(dispatch)]);
    await reaches(second, "pushing");
    expect(await view(first)).toMatchObject({ state: "aborted", reason: `replaced by ${second}` });
    const rejected = await call("/", { method: "POST", as: ADMIN, body: { ...body, OnConflict: "reject" } });
    expect([rejected.status, await rejected.text()]).toEqual([409, expect.stringContaining(second)]);
    await eventually(async () =>
      expect(new Map((await listed(SdkAppId)).map(({ taskId, status }) => [taskId, status]))).toEqual(
        new Map([
          [first, "ABORTED"],
          [second, "RUNNING"],
        ]),
      ),
    );
  });

  it("regards a seat as held by an accepted task that has no object yet", async () => {
    const release = holdObjects();
    const { body, create } = await ownPush();
    const taskId = await create();
    const rejected = await call("/", { method: "POST", as: ADMIN, body: { ...body, OnConflict: "reject" } });
    expect([rejected.status, await rejected.text()]).toEqual([409, expect.stringContaining(taskId)]);
    release();
    // No object may be created after the test has ended.
    await eventually(async () => expect(await bound.TASK.getByName(taskId).exists()).toBe(true));
  });

  it("loses none of many simultaneous creates that share seats and keys", async () => {
    const { SdkAppId, body, create } = await ownPush();
    const rooms = Array.from({ length: 12 }, (_, n) => `burst_${n}`);
    const ids = await Promise.all(
      rooms.flatMap((StrRoomId) => [
        start({ ...body, StrRoomId }, { as: ADMIN }),
        start({ ...body, StrRoomId }, { as: ADMIN }),
      ]),
    );
    expect(new Set(ids).size).toBe(24);
    const headers = { "Idempotency-Key": fresh("key") };
    expect(new Set(await Promise.all([1, 2, 3, 4].map(() => create({ headers })))).size).toBe(1);
    // In each room one task runs, and the other one was replaced by it.
    await eventually(async () => {
      const tasks = await Promise.all(ids.map(view));
      expect(tasks.filter(({ state }) => state === "queued")).toHaveLength(12);
      expect(tasks.filter(({ reason }) => reason?.startsWith("replaced by"))).toHaveLength(12);
    });
    expect((await listed(SdkAppId)).length).toBe(20);
  });

  it("hands over other tasks while one object cannot be created", async () => {
    const { body, directory } = await ownPush();
    const create = creating();
    vi.spyOn(Task.prototype, "create").mockImplementation(async function (this: Task, ...[task, ...rest]) {
      if (task.request.StrRoomId === "broken") throw new Error("the runtime was restarted");
      return create.apply(this, [task, ...rest]);
    });
    const broken = await start({ ...body, StrRoomId: "broken" }, { as: ADMIN });
    const whole = await start({ ...body, StrRoomId: "whole" }, { as: ADMIN });
    await eventually(async () => expect(await bound.TASK.getByName(whole).exists()).toBe(true));
    expect(await bound.TASK.getByName(broken).exists()).toBe(false);
    vi.restoreAllMocks();
    await runDurableObjectAlarm(directory);
    expect(await bound.TASK.getByName(broken).exists()).toBe(true);
  });
});
