import { env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { Pacer } from "../src/base/pacer.ts";
import { Directory } from "../src/objects/directory/directory.ts";
import { TaskMessenger } from "../src/objects/region/task-messenger.ts";
import { Task } from "../src/objects/task/task.ts";
import { eventually } from "./eventually.test-support.ts";
import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import { fresh, reaches, view } from "./fixtures.test-support.ts";
import { running, stop } from "./running-push.test-support.ts";

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const HELLO_TIMEOUT_MS = 5000;

/** These tasks answer in batches, when they are let; none of them is the worker's. */
function holdTasks(held: readonly { readonly taskId: string }[]) {
  let asked = 0;
  const gate = { upTo: 0 };
  const ids = new Set(held.map(({ taskId }) => taskId));
  const tell: TaskMessenger["workerEvent"] = Reflect.get(TaskMessenger.prototype, "workerEvent");
  vi.spyOn(TaskMessenger.prototype, "workerEvent").mockImplementation(async function (
    this: TaskMessenger,
    taskId,
    ...word
  ) {
    if (!ids.has(taskId)) return tell.call(this, taskId, ...word);
    asked += 1;
    const turn = asked;
    // A promise may not be resolved from another object's event.
    while (turn > gate.upTo) await scheduler.wait(10);
    return { kind: "stale" };
  });
  return {
    /** So many were asked in all, and no more of them yet. */
    asked: (count: number) => eventually(() => expect(asked).toBe(count)),
    answer: (upTo: number) => {
      gate.upTo = upTo;
    },
  };
}

/** Writes down that the region has given these tasks to a worker, of whose process it does not know yet. */
async function give(region: string, workerId: string, reports: readonly { readonly taskId: string }[]): Promise<void> {
  const stub = env.REGION.getByName(region);
  await runInDurableObject(stub, (_region, { storage }) => {
    for (const { taskId } of reports) {
      const row = [taskId, 1, workerId, crypto.randomUUID(), 0, Date.now(), 1, 1, Date.now() + 600_000];
      storage.sql.exec("INSERT INTO assignment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)", ...row);
    }
  });
  await evictDurableObject(stub);
}

test("a hello with 2,000 tasks is gone through in batches, while other workers are heard", async () => {
  const region = fresh("ap");
  const workerId = fresh("w");
  const reports = Array.from({ length: 2000 }, () =>
    reportOf({ taskId: crypto.randomUUID(), attempt: 1 }, { plan: null }),
  );
  await give(region, workerId, reports);
  const other = await FakeWorker.connect({ workerId: fresh("w"), region });
  const tasks = holdTasks(reports);
  const large = await FakeWorker.dial({ workerId, region });
  large.hello({ workerId, region, running: reports });
  for (const asked of [50, 1000, 2000]) {
    tasks.answer(asked - 50);
    await tasks.asked(asked);
    const heard = other.frames.length;
    other.report([]);
    await eventually(() => expect(other.frames).toHaveLength(heard + 1));
    expect(large.frames).toEqual([]);
  }
  tasks.answer(2000);
  const welcome = await large.next("welcome");
  expect(welcome.keep).toEqual([]);
  expect(new Set(welcome.stop.map(({ taskId }) => taskId))).toEqual(new Set(reports.map(({ taskId }) => taskId)));
});

test("a socket that never says hello is closed by a deadline", async () => {
  const at = { workerId: fresh("w"), region: fresh("ap") };
  const silent = await FakeWorker.dial(at);
  const region = env.REGION.getByName(at.region);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 0.8 * HELLO_TIMEOUT_MS });
  await runDurableObjectAlarm(region);
  expect(silent.closed).toBeUndefined();
  // An alarm that comes late looks once more a moment later.
  for (const laterMs of [0.5 * HELLO_TIMEOUT_MS, 1000]) {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + laterMs });
    await runDurableObjectAlarm(region);
  }
  expect(await silent.end()).toMatchObject({ code: 4408 });
});

test("the time for a hello counts anew as long as tasks answer, and ends when they do not", async () => {
  const region = fresh("ap");
  const reports = Array.from({ length: 150 }, () => reportOf({ taskId: crypto.randomUUID(), attempt: 1 }));
  const workerId = fresh("w");
  await give(region, workerId, reports);
  const tasks = holdTasks(reports);
  const worker = await FakeWorker.dial({ workerId, region });
  worker.hello({ workerId, region, running: reports });
  for (const asked of [50, 100]) {
    await tasks.asked(asked);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 0.8 * HELLO_TIMEOUT_MS });
    await runDurableObjectAlarm(env.REGION.getByName(region));
    expect([asked, worker.closed]).toEqual([asked, undefined]);
    tasks.answer(asked);
  }
  await tasks.asked(150);
  // An alarm that comes late does not know yet what has come meanwhile: it looks once more.
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 1.5 * HELLO_TIMEOUT_MS });
  expect(await runDurableObjectAlarm(env.REGION.getByName(region))).toBe(true);
  expect(worker.closed).toBeUndefined();
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 1000 });
  expect(await runDurableObjectAlarm(env.REGION.getByName(region))).toBe(true);
  expect(await worker.end()).toMatchObject({ code: 4408 });
  tasks.answer(150);
});

test("what a region has given to a worker's process is kept at once when it dials again, before its tasks answer", async () => {
  const { at, worker, taskId, dispatch } = await running();
  worker.close();
  const tasks = holdTasks([{ taskId }]);
  const back = await FakeWorker.connect({ ...at, instanceId: worker.instanceId, running: [reportOf(dispatch)] });
  expect(await back.next("welcome")).toMatchObject({ keep: [{ taskId, attempt: 1 }], stop: [] });
  await tasks.asked(1);
  // As the task says then, it has gone on elsewhere without a word to the region.
  tasks.answer(1);
  expect(await back.next("stop")).toMatchObject({ taskId, attempt: 1, how: "now" });
  await eventually(async () => expect(await env.REGION.getByName(at.region).holds(taskId, 1)).toBe(false));
});

/** No task of those that are kept at once has its turn to be told. */
function holdTurns() {
  const turns = Promise.withResolvers<void>();
  vi.spyOn(Pacer.prototype, "turn").mockImplementation(() => turns.promise);
  return turns;
}

test("a push that was asked to end while its worker was away is ended when that is back, before anything else", async () => {
  const { at, worker, taskId, dispatch } = await running();
  worker.close();
  await eventually(async () => expect((await env.REGION.getByName(at.region).outlook()).workers).toBe(0));
  await stop(taskId, "tidy");
  holdTurns();
  const back = await FakeWorker.connect({ ...at, instanceId: worker.instanceId, running: [reportOf(dispatch)] });
  expect(await back.next("welcome")).toMatchObject({ keep: [{ taskId, attempt: 1 }] });
  expect(await back.next("stop")).toMatchObject({ taskId, attempt: 1, how: "tidy" });
});

test("a worker that comes back while its task is being released does not keep it", async () => {
  const { at, worker, taskId, dispatch } = await running();
  const [releasing, released] = [Promise.withResolvers<void>(), { yes: false }];
  // Read in this way because it is called with the object below.
  const workerEvent = Reflect.get(Task.prototype, "workerEvent");
  vi.spyOn(Task.prototype, "workerEvent").mockImplementation(async function (this: Task, ref, event) {
    const answer = await workerEvent.call(this, ref, event);
    if (ref.workerId !== at.workerId || event.type !== "released") return answer;
    // It has written that down, and its region does not know yet.
    releasing.resolve();
    while (!released.yes) await scheduler.wait(10);
    return answer;
  });
  worker.close();
  await releasing.promise;
  const back = await FakeWorker.dial({ ...at, instanceId: worker.instanceId });
  back.hello({ ...at, running: [reportOf(dispatch)] });
  // By then the region has read the hello.
  await FakeWorker.connect({ region: at.region, workerId: fresh("w") });
  expect(back.frames).toEqual([]);
  released.yes = true;
  expect(await back.next("welcome")).toMatchObject({ keep: [], stop: [{ taskId, attempt: 1 }] });
});

/** The first time that a region is noted in the root directory has to wait until it may. */
function holdFirstNote(region: string) {
  const gate = { open: false };
  const held = vi.fn<() => void>();
  const noted = Promise.withResolvers<void>();
  const know: Directory["know"] = Reflect.get(Directory.prototype, "know");
  vi.spyOn(Directory.prototype, "know").mockImplementation(function (this: Directory, kind, name) {
    if (name !== region || held.mock.calls.length > 0) return know.call(this, kind, name);
    held();
    const whenOpen = async () => {
      while (!gate.open) await scheduler.wait(10);
      know.call(this, kind, name);
      noted.resolve();
    };
    // SAFETY: whoever calls another object waits for what it returns, be it a promise or not.
    return whenOpen() as unknown as void;
  });
  const begun = () => eventually(() => expect(held).toHaveBeenCalled());
  const open = () => {
    gate.open = true;
    return noted.promise;
  };
  return { begun, open };
}

test("a process that was gone before its hello was answered takes nothing from its successor", async () => {
  const at = { workerId: fresh("w"), region: fresh("ap") };
  const { begun, open } = holdFirstNote(at.region);
  const late = await FakeWorker.dial(at);
  late.hello({ ...at, running: [] });
  await begun();
  late.close();
  const { taskId } = await running({ at });
  await open();
  // By then the region has gone on with the late hello, which named none of its tasks.
  await FakeWorker.connect({ region: at.region, workerId: fresh("w") });
  await runDurableObjectAlarm(env.REGION.getByName(at.region));
  expect(await view(taskId)).toMatchObject({ state: "pushing", attempt: 1 });
  expect(await env.REGION.getByName(at.region).holds(taskId, 1)).toBe(true);
});

test("what ends while a hello's other tasks are being asked is not kept", async () => {
  const { at, worker, taskId, dispatch } = await running();
  worker.close();
  const other = reportOf({ taskId: crypto.randomUUID(), attempt: 1 });
  await give(at.region, at.workerId, [other]);
  const tasks = holdTasks([other]);
  const back = await FakeWorker.dial({ ...at, instanceId: worker.instanceId });
  back.hello({ ...at, running: [reportOf(dispatch), other] });
  await tasks.asked(1);
  const region = env.REGION.getByName(at.region);
  await region.forget(taskId, 1);
  tasks.answer(1);
  const welcome = await back.next("welcome");
  expect(welcome.keep).toEqual([]);
  expect(welcome.stop.map((ref) => ref.taskId).toSorted()).toEqual([taskId, other.taskId].toSorted());
  expect(await region.newestReport(taskId, 1)).toBeNull();
});

test("a task whose turn comes late is told the newest state, not what the hello said", async () => {
  const { at, worker, taskId, dispatch } = await running();
  worker.close();
  const turns = holdTurns();
  const said = reportOf(dispatch, { state: "reconnecting", positionMs: 6000 });
  const back = await FakeWorker.connect({ ...at, instanceId: worker.instanceId, running: [said] });
  back.report([reportOf(dispatch, { positionMs: 20_000 })]);
  await reaches(taskId, "pushing");
  const tell = vi.spyOn(TaskMessenger.prototype, "workerEvent");
  turns.resolve();
  // Other regions of this workerd have words for their tasks too.
  const told = () => tell.mock.calls.findIndex(([id]) => id === taskId);
  await eventually(() => expect(told()).not.toBe(-1));
  await tell.mock.results[told()]?.value;
  expect(await view(taskId)).toMatchObject({ state: "pushing", progress: { positionMs: 20_000 } });
});

test("the tasks of a worker that is back are not woken all at once", async () => {
  const { at, worker, taskId, dispatch } = await running();
  worker.close();
  const turns = holdTurns();
  const tell = vi.spyOn(TaskMessenger.prototype, "workerEvent").mockResolvedValue({ kind: "holds", stop: null });
  const woken = () => tell.mock.calls.filter(([id]) => id === taskId);
  const back = await FakeWorker.connect({ ...at, instanceId: worker.instanceId, running: [reportOf(dispatch)] });
  const heard = back.frames.length;
  back.report([reportOf(dispatch)]);
  await eventually(() => expect(back.frames.length).toBeGreaterThan(heard));
  expect(woken()).toEqual([]);
  turns.resolve();
  await eventually(() => expect(woken()).toHaveLength(1));
});
