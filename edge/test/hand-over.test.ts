import { env, evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
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

/** A push of an application, and so of a Directory, of its own. */
async function ownPush(rest: Record<string, unknown> = {}) {
  apps += 1;
  const SdkAppId = apps;
  const directory = bound.DIRECTORY.getByName(String(SdkAppId));
  const UserSig = await userSig({ sdkAppId: SdkAppId });
  const body = await pushBody({ SdkAppId, UserSig, Region: fresh("ap"), ...rest });
  return { SdkAppId, directory, body, create: (options = {}) => start(body, { as: ADMIN, ...options }) };
}

/** No Task object can be made until this is called. */
function holdObjects(): () => void {
  const create = vi.spyOn(Task.prototype, "create").mockRejectedValue(new Error("the runtime was restarted"));
  return () => create.mockRestore();
}

/** What makes a Task object when nobody interferes. */
function creating(): Task["create"] {
  return Reflect.get(Task.prototype, "create");
}

async function listed(SdkAppId: number): Promise<{ taskId: string; status: string }[]> {
  const response = await call(`/v1/tasks?SdkAppId=${SdkAppId}`, { as: ADMIN });
  return (await response.json<{ tasks: { taskId: string; status: string }[] }>()).tasks;
}

test("a push that was answered starts although the edge dies before its object is made, and once only", async () => {
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

test("an object that was made although the edge never heard of it is not made again", async () => {
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

test("whoever asks for a task that has no object yet makes it: to look, to read its log, to stop, to change", async () => {
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
    // The pump runs against a wall; who asks does not.
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

test("a second create for a seat whose first task has no object yet replaces it", async () => {
  const release = holdObjects();
  const { SdkAppId, body, create } = await ownPush();
  const first = await create();
  const second = await create();
  release();
  const worker = await FakeWorker.connect({ workerId: fresh("w"), region: String(body["Region"]) });
  // Asked for first, the newer one still comes after the older one.
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

test("a seat that an accepted task holds is taken, before that has an object", async () => {
  const release = holdObjects();
  const { body, create } = await ownPush();
  const taskId = await create();
  const rejected = await call("/", { method: "POST", as: ADMIN, body: { ...body, OnConflict: "reject" } });
  expect([rejected.status, await rejected.text()]).toEqual([409, expect.stringContaining(taskId)]);
  release();
  // No object is to be made behind the test.
  await eventually(async () => expect(await bound.TASK.getByName(taskId).exists()).toBe(true));
});

test("of many creates at once none is lost, whatever seats and keys they share", async () => {
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
  // Of each room one goes on, the other has given way to it.
  await eventually(async () => {
    const tasks = await Promise.all(ids.map(view));
    expect(tasks.filter(({ state }) => state === "queued")).toHaveLength(12);
    expect(tasks.filter(({ reason }) => reason?.startsWith("replaced by"))).toHaveLength(12);
  });
  expect((await listed(SdkAppId)).length).toBe(20);
});

test("one object that cannot be made keeps no other task waiting", async () => {
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
