import { env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
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

/** Holds back the answers of these tasks until the test releases them; each then answers that the worker does not have it. */
function holdTasks(held: readonly { readonly taskId: string }[]) {
  let asked = 0;
  const gate = { upTo: 0 };
  const ids = new Set(held.map(({ taskId }) => taskId));
  const workerEvent: TaskMessenger["workerEvent"] = Reflect.get(TaskMessenger.prototype, "workerEvent");
  vi.spyOn(TaskMessenger.prototype, "workerEvent").mockImplementation(async function (
    this: TaskMessenger,
    taskId,
    ...rest
  ) {
    if (!ids.has(taskId)) return workerEvent.call(this, taskId, ...rest);
    asked += 1;
    const position = asked;
    // workerd does not allow an event of one object to resolve a promise of another.
    while (position > gate.upTo) await scheduler.wait(10);
    return { kind: "stale" };
  });
  return {
    /** Waits until exactly `count` tasks were asked. */
    asked: (count: number) => eventually(() => expect(asked).toBe(count)),
    answer: (upTo: number) => {
      gate.upTo = upTo;
    },
  };
}

/** Stores assignments of these tasks to a worker, with an instance id that differs from that of its next process. */
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

/** Delays the messages to the tasks that were kept at once until the returned promise is resolved. */
function holdTurns() {
  const turns = Promise.withResolvers<void>();
  vi.spyOn(Pacer.prototype, "turn").mockImplementation(() => turns.promise);
  return turns;
}

/** Delays the first registration of a region in the root directory until the test allows it. */
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
    // SAFETY: a call of another object always awaits the result, whether it is a promise or not.
    return whenOpen() as unknown as void;
  });
  const begun = () => eventually(() => expect(held).toHaveBeenCalled());
  const open = () => {
    gate.open = true;
    return noted.promise;
  };
  return { begun, open };
}

describe("Hello of a worker", () => {
  it("is checked in batches when it has 2,000 tasks, while other workers are served", async () => {
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
      const received = other.frames.length;
      other.report([]);
      await eventually(() => expect(other.frames).toHaveLength(received + 1));
      expect(large.frames).toEqual([]);
    }
    tasks.answer(2000);
    const welcome = await large.next("welcome");
    expect(welcome.keep).toEqual([]);
    expect(new Set(welcome.stop.map(({ taskId }) => taskId))).toEqual(new Set(reports.map(({ taskId }) => taskId)));
  });

  it("is awaited until a deadline, after which the socket is closed", async () => {
    const at = { workerId: fresh("w"), region: fresh("ap") };
    const silent = await FakeWorker.dial(at);
    const region = env.REGION.getByName(at.region);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 0.8 * HELLO_TIMEOUT_MS });
    await runDurableObjectAlarm(region);
    expect(silent.closed).toBeUndefined();
    // An alarm that comes late checks again a moment later.
    for (const laterMs of [0.5 * HELLO_TIMEOUT_MS, 1000]) {
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + laterMs });
      await runDurableObjectAlarm(region);
    }
    expect(await silent.end()).toMatchObject({ code: 4408 });
  });

  it("is awaited until a deadline, even if every alarm comes late", async () => {
    const at = { workerId: fresh("w"), region: fresh("ap") };
    const silent = await FakeWorker.dial(at);
    const region = env.REGION.getByName(at.region);
    for (const laterMs of [1.3 * HELLO_TIMEOUT_MS, 2100]) {
      expect(silent.closed).toBeUndefined();
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + laterMs });
      expect(await runDurableObjectAlarm(region)).toBe(true);
    }
    // No deadline is left to look at.
    expect(await runDurableObjectAlarm(region)).toBe(false);
    expect(await silent.end()).toMatchObject({ code: 4408 });
  });

  it("is awaited on three sockets of a worker at most, and the oldest one is closed for another", async () => {
    const region = fresh("ap");
    const at = { workerId: fresh("w"), region };
    const welcomed = await FakeWorker.connect(at);
    const other = await FakeWorker.dial({ workerId: fresh("w"), region });
    const silent: FakeWorker[] = [];
    for (let number = 0; number < 6; number += 1) silent.push(await FakeWorker.dial(at));
    for (const older of silent.slice(0, 3)) expect(await older.end()).toMatchObject({ code: 1013 });
    const heartbeats = welcomed.frames.length;
    welcomed.report([]);
    await eventually(() => expect(welcomed.frames.length).toBeGreaterThan(heartbeats));
    expect([...silent.slice(3), other, welcomed].map(({ closed }) => closed)).toEqual(Array(5).fill(undefined));
  });

  it("has its deadline extended while its tasks answer, and times out when they do not", async () => {
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
    // An alarm that comes late may not have seen the newest messages, so it checks again.
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 1.5 * HELLO_TIMEOUT_MS });
    expect(await runDurableObjectAlarm(env.REGION.getByName(region))).toBe(true);
    expect(worker.closed).toBeUndefined();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 1000 });
    expect(await runDurableObjectAlarm(env.REGION.getByName(region))).toBe(true);
    expect(await worker.end()).toMatchObject({ code: 4408 });
    tasks.answer(150);
  });

  it("keeps the tasks of a reconnected process at once, before the tasks answer", async () => {
    const { at, worker, taskId, dispatch } = await running();
    worker.close();
    const tasks = holdTasks([{ taskId }]);
    const back = await FakeWorker.connect({ ...at, instanceId: worker.instanceId, running: [reportOf(dispatch)] });
    expect(await back.next("welcome")).toMatchObject({ keep: [{ taskId, attempt: 1 }], stop: [] });
    await tasks.asked(1);
    // The task then answers that it continues elsewhere, which the region did not know.
    tasks.answer(1);
    expect(await back.next("stop")).toMatchObject({ taskId, attempt: 1, how: "now" });
    await eventually(async () => expect(await env.REGION.getByName(at.region).holds(taskId, 1)).toBe(false));
  });

  it("is answered first with the stop of a push that was stopped while the worker was away", async () => {
    const { at, worker, taskId, dispatch } = await running();
    worker.close();
    await eventually(async () => expect((await env.REGION.getByName(at.region).outlook()).workers).toBe(0));
    await stop(taskId, "tidy");
    holdTurns();
    const back = await FakeWorker.connect({ ...at, instanceId: worker.instanceId, running: [reportOf(dispatch)] });
    expect(await back.next("welcome")).toMatchObject({ keep: [{ taskId, attempt: 1 }] });
    expect(await back.next("stop")).toMatchObject({ taskId, attempt: 1, how: "tidy" });
  });

  it("does not keep a task that is being released", async () => {
    const { at, worker, taskId, dispatch } = await running();
    const [releasing, released] = [Promise.withResolvers<void>(), { yes: false }];
    // Reflect.get is used because the method is called with its object below.
    const workerEvent = Reflect.get(Task.prototype, "workerEvent");
    vi.spyOn(Task.prototype, "workerEvent").mockImplementation(async function (this: Task, ref, event) {
      const answer = await workerEvent.call(this, ref, event);
      if (ref.workerId !== at.workerId || event.type !== "released") return answer;
      // The task has stored its release, but the region does not know it yet.
      releasing.resolve();
      while (!released.yes) await scheduler.wait(10);
      return answer;
    });
    worker.close();
    await releasing.promise;
    const back = await FakeWorker.dial({ ...at, instanceId: worker.instanceId });
    back.hello({ ...at, running: [reportOf(dispatch)] });
    // Once this worker is connected, the region has read the hello.
    await FakeWorker.connect({ region: at.region, workerId: fresh("w") });
    expect(back.frames).toEqual([]);
    released.yes = true;
    expect(await back.next("welcome")).toMatchObject({ keep: [], stop: [{ taskId, attempt: 1 }] });
  });

  it("takes nothing from a newer process when its own process left before the answer", async () => {
    const at = { workerId: fresh("w"), region: fresh("ap") };
    const { begun, open } = holdFirstNote(at.region);
    const late = await FakeWorker.dial(at);
    late.hello({ ...at, running: [] });
    await begun();
    late.close();
    const { taskId } = await running({ at });
    await open();
    // Once this worker is connected, the region has handled the late hello, which named no tasks.
    await FakeWorker.connect({ region: at.region, workerId: fresh("w") });
    await runDurableObjectAlarm(env.REGION.getByName(at.region));
    expect(await view(taskId)).toMatchObject({ state: "pushing", attempt: 1 });
    expect(await env.REGION.getByName(at.region).holds(taskId, 1)).toBe(true);
  });

  it("does not keep a task that ends while its other tasks are being asked", async () => {
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

  it("passes the newest state on to a task that is notified late, not the state in the hello", async () => {
    const { at, worker, taskId, dispatch } = await running();
    worker.close();
    const turns = holdTurns();
    const said = reportOf(dispatch, { state: "reconnecting", positionMs: 6000 });
    const back = await FakeWorker.connect({ ...at, instanceId: worker.instanceId, running: [said] });
    back.report([reportOf(dispatch, { positionMs: 20_000 })]);
    await reaches(taskId, "pushing");
    const workerEvent = vi.spyOn(TaskMessenger.prototype, "workerEvent");
    turns.resolve();
    // Other regions of this workerd send messages to their tasks too.
    const callIndex = () => workerEvent.mock.calls.findIndex(([id]) => id === taskId);
    await eventually(() => expect(callIndex()).not.toBe(-1));
    await workerEvent.mock.results[callIndex()]?.value;
    expect(await view(taskId)).toMatchObject({ state: "pushing", progress: { positionMs: 20_000 } });
  });

  it("does not wake all tasks of a returned worker at the same time", async () => {
    const { at, worker, taskId, dispatch } = await running();
    worker.close();
    const turns = holdTurns();
    const workerEvent = vi
      .spyOn(TaskMessenger.prototype, "workerEvent")
      .mockResolvedValue({ kind: "holds", stop: null });
    const woken = () => workerEvent.mock.calls.filter(([id]) => id === taskId);
    const back = await FakeWorker.connect({ ...at, instanceId: worker.instanceId, running: [reportOf(dispatch)] });
    const received = back.frames.length;
    back.report([reportOf(dispatch)]);
    await eventually(() => expect(back.frames.length).toBeGreaterThan(received));
    expect(woken()).toEqual([]);
    turns.resolve();
    await eventually(() => expect(woken()).toHaveLength(1));
  });
});
