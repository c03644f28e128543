import { createExecutionContext, env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import type { TaskReport } from "@roomcast/shared";
import { afterEach, expect, test, vi } from "vitest";
import { app } from "../src/app.ts";
import type { Accept } from "../src/contracts/directory-object.ts";
import type { Env } from "../src/contracts/env.ts";
import { ROOT } from "../src/contracts/root-registry.ts";
import { Task } from "../src/objects/task/task.ts";
import { eventually } from "./eventually.test-support.ts";
import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import { call, fresh, pushBody, reaches, SCHOOL, start, view } from "./fixtures.test-support.ts";
import { running } from "./running-push.test-support.ts";
import { storedIn } from "./stored-in.test-support.ts";

afterEach(() => {
  vi.useRealTimers();
});

const bound: Env = env;

/** The Worker's bindings with one namespace in which some calls go wrong. */
function without(name: keyof Env, broken: Record<string, unknown>): Env {
  const namespace = bound[name];
  const getByName = (id: string) => Object.assign(Object.create(null), { name: id }, broken);
  // SAFETY: a Durable Object namespace is an object.
  return { ...bound, [name]: Object.assign(Object.create(namespace as object), { getByName }) };
}

function post(bindings: Env, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const request = new Request("http://edge/", {
    method: "POST",
    headers: { Authorization: `Bearer ${SCHOOL}`, ...headers },
    body: JSON.stringify(body),
  });
  return Promise.resolve(app.fetch(request, bindings, createExecutionContext()));
}

test("a create whose directory does not answer is answered with an error and leaves nothing", async () => {
  const push = await running();
  const directory = bound.DIRECTORY.getByName(String(push.body["SdkAppId"]));
  let refused = "";
  const acceptGroup = ([task]: readonly Accept[]) => {
    refused = task?.taskId ?? "";
    return Promise.reject(new Error("the runtime was restarted"));
  };
  const response = await post(without("DIRECTORY", { acceptGroup }), push.body);
  expect(response.status).toBe(500);
  expect(await response.text()).not.toContain("restarted");
  expect(await storedIn(directory)).not.toContain(refused);
  expect((await call(`/v1/tasks/${refused}`)).status).toBe(404);
  expect(await view(push.taskId)).toMatchObject({ state: "pushing" });
});

test("a create whose answer was lost is, repeated with its key, the task that was accepted", async () => {
  const body = await pushBody({ Region: fresh("ap") });
  const headers = { "Idempotency-Key": fresh("key") };
  let promised = "";
  const acceptGroup = async (group: readonly Accept[]) => {
    promised = group.map(({ taskId }) => taskId).join();
    await bound.DIRECTORY.getByName(String(body["SdkAppId"])).acceptGroup(group);
    throw new Error("the runtime was restarted");
  };
  const known = () => bound.DIRECTORY.getByName(ROOT).known("region");
  expect((await post(without("DIRECTORY", { acceptGroup, known }), body, headers)).status).toBe(500);
  expect(await start(body, { headers })).toBe(promised);
  expect(await view(promised)).toMatchObject({ state: "queued" });
});

test("frames that come twice, late and in any order end a push once, and free its seat", async () => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    const push = await running();
    const { worker, taskId } = push;
    const directory = bound.DIRECTORY.getByName(String(push.body["SdkAppId"]));
    for (const say of shuffled(words(worker, taskId), seed)) say();
    await worker.next("ack", (frame) => frame.taskId === taskId && frame.attempt === 1);
    const other = await FakeWorker.connect({ ...push.at, workerId: fresh("w") });
    const seen = await eventually(async () => {
      const task = await view(taskId);
      // Given back first, it goes on with the next attempt, of which nothing was said: it is ended properly.
      if (task.state === "queued" || task.state === "starting") {
        for (const holder of [worker, other]) {
          holder.ended({ taskId, attempt: task.attempt }, { name: "finished" });
        }
      }
      expect(task.endedAt).not.toBeNull();
      return task;
    });
    for (const say of shuffled(words(worker, taskId), seed + 100)) say();
    worker.report([]);
    // A row of the table of seats.
    const seat = `${String(push.body["StrRoomId"])}/teacher","task_id"`;
    await eventually(async () => expect(await storedIn(directory)).not.toContain(seat));
    expect(await view(taskId)).toEqual(seen);
  }
});

/** All that a worker could say of the first attempt, some of it twice. */
function words(worker: FakeWorker, taskId: string): (() => void)[] {
  const ref = { taskId, attempt: 1 };
  const reports = (["starting", "pushing", "paused", "reconnecting"] as const).map(
    (state): TaskReport => reportOf(ref, { state }),
  );
  const error = { code: "FailedOperation.SourceLost", message: "It is lost.", retryable: true } as const;
  return [
    () => worker.send({ type: "accepted", ...ref }),
    () => worker.send({ type: "refused", ...ref, error: { ...error, retryable: false } }),
    ...[...reports, ...reports].map((report) => () => worker.report([report])),
    () => worker.ended(ref, { name: "finished" }),
    () => worker.ended(ref, { name: "finished" }),
    () => worker.ended(ref, { name: "failed", error }),
    () => worker.ended(ref, { name: "aborted", reason: "stopped" }),
    () => worker.ended(ref, { name: "released" }),
  ];
}

/** Fisher and Yates, with a linear congruential generator: the same order for the same seed. */
function shuffled<Item>(items: readonly Item[], seed: number): Item[] {
  const mixed = [...items];
  let state = seed;
  for (let last = mixed.length - 1; last > 0; last -= 1) {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    const other = Math.floor((state / 2 ** 32) * (last + 1));
    // SAFETY: both indexes are within the list.
    [mixed[last], mixed[other]] = [mixed[other] as Item, mixed[last] as Item];
  }
  return mixed;
}

test("a task whose directory does not answer tries again until it does, and loses nothing", async () => {
  const push = await running();
  const task = bound.TASK.getByName(push.taskId);
  const directory = bound.DIRECTORY.getByName(String(push.body["SdkAppId"]));
  const rename = (from: string, to: string) =>
    runInDurableObject(directory, (_directory, { storage }) => {
      storage.sql.exec(`ALTER TABLE ${from} RENAME TO ${to}`);
    });
  await rename("task", "task_away");
  push.worker.ended(push.dispatch, { name: "finished" });
  await reaches(push.taskId, "finished");
  await eventually(async () => expect(await storedIn(task)).toMatch(/"retryAtMs":[1-9]/));
  expect(await storedIn(task)).toContain('"settled":false');
  await rename("task_away", "task");
  await eventually(async () => expect(await storedIn(task)).toContain('"settled":true'));
  expect(await view(push.taskId)).toMatchObject({ state: "finished" });
});

test("a task whose worker has reported it is not taken back although the edge is too busy to pass the word on", async () => {
  const at = { workerId: fresh("w"), region: fresh("ap") };
  const passOn = Promise.withResolvers<void>();
  // Read in this way because it is called with the object below.
  const workerEvent = Reflect.get(Task.prototype, "workerEvent");
  const spy = vi.spyOn(Task.prototype, "workerEvent").mockImplementation(async function (this: Task, ref, event) {
    if (ref.workerId === at.workerId && event.type === "reported") await passOn.promise;
    return workerEvent.call(this, ref, event);
  });
  const worker = await FakeWorker.connect(at);
  const taskId = await start(await pushBody({ Region: at.region }));
  const dispatch = await worker.next("dispatch", (frame) => frame.taskId === taskId);
  worker.report([reportOf(dispatch, { positionMs: 5000 })]);
  await eventually(() =>
    expect(spy).toHaveBeenCalledWith(
      expect.objectContaining({ workerId: at.workerId }),
      expect.objectContaining({ type: "reported" }),
    ),
  );
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 10_500 });
  await runDurableObjectAlarm(bound.TASK.getByName(taskId));
  vi.useRealTimers();
  passOn.resolve();
  await reaches(taskId, "pushing");
  spy.mockRestore();
  expect(await view(taskId)).toMatchObject({ state: "pushing", attempt: 1 });
  expect(worker.frames.filter(({ type }) => type === "stop")).toEqual([]);
});

test("a task that its worker neither accepts nor reports goes to another attempt", async () => {
  const at = { workerId: fresh("w"), region: fresh("ap") };
  const worker = await FakeWorker.connect(at);
  const taskId = await start(await pushBody({ Region: at.region }));
  await worker.next("dispatch", (frame) => frame.taskId === taskId);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 10_500 });
  await runDurableObjectAlarm(bound.TASK.getByName(taskId));
  vi.useRealTimers();
  expect(await worker.next("stop", (frame) => frame.taskId === taskId)).toMatchObject({ attempt: 1, how: "now" });
  expect(await view(taskId)).toMatchObject({ attempt: 2 });
});
