import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Task } from "../src/objects/task/task.ts";
import { eventually } from "./eventually.test-support.ts";
import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import { fresh, pushBody, reaches, start, view } from "./fixtures.test-support.ts";
import { running } from "./running-push.test-support.ts";

const RETURN_MS = 6000;

afterEach(() => {
  vi.useRealTimers();
});

function setClock(nowMs: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now: nowMs });
}

/** Closes the worker's socket and evicts the region's object. */
async function restart({ region, workerId }: { region: string; workerId: string }, worker: FakeWorker): Promise<void> {
  worker.close();
  const object = env.REGION.getByName(region);
  await eventually(async () => expect(await object.workers(region)).toEqual([]));
  expect(await isConnected(region, workerId)).toBe(true);
  await evictDurableObject(object);
}

async function isConnected(region: string, workerId: string): Promise<boolean> {
  return runInDurableObject(
    env.REGION.getByName(region),
    (_region, { storage }) =>
      storage.sql.exec("SELECT 1 FROM connected WHERE worker_id = ?", workerId).toArray().length > 0,
  );
}

describe("Restart of the edge", () => {
  it("leaves tasks with a worker that comes back a few seconds later", async () => {
    const { at, worker, taskId, dispatch } = await running();
    setClock(Date.now());
    await restart(at, worker);
    const region = env.REGION.getByName(at.region);
    await runDurableObjectAlarm(region);
    setClock(Date.now() + RETURN_MS - 1000);
    await runDurableObjectAlarm(region);
    expect(await view(taskId)).toMatchObject({ state: "pushing", attempt: 1 });
    const back = await FakeWorker.dial({ ...at, instanceId: worker.instanceId });
    back.hello({ ...at, running: [reportOf(dispatch, { positionMs: 9000 })] });
    expect(await back.next("welcome")).toMatchObject({ keep: [{ taskId, attempt: 1 }], stop: [] });
    setClock(Date.now() + RETURN_MS);
    back.report([reportOf(dispatch, { positionMs: 10_000 })]);
    await eventually(async () => expect((await view(taskId)).progress?.positionMs).toBe(10_000));
    expect(await view(taskId)).toMatchObject({ state: "pushing", attempt: 1 });
  });

  it("leaves tasks with a returned worker while they are compared with the Task objects", async () => {
    const { at, worker, taskId, dispatch } = await running();
    setClock(Date.now());
    await restart(at, worker);
    const region = env.REGION.getByName(at.region);
    await runDurableObjectAlarm(region);
    const answers = Promise.withResolvers<void>();
    // Reflect.get is used because the method is called with its object below.
    const workerEvent = Reflect.get(Task.prototype, "workerEvent");
    const spy = vi.spyOn(Task.prototype, "workerEvent").mockImplementation(async function (this: Task, ref, event) {
      if (ref.workerId === at.workerId && event.type === "reported") await answers.promise;
      return workerEvent.call(this, ref, event);
    });
    const back = await FakeWorker.dial({ ...at, instanceId: worker.instanceId });
    back.hello({ ...at, running: [reportOf(dispatch, { positionMs: 9000 })] });
    const ref = expect.objectContaining({ workerId: at.workerId });
    await eventually(() => expect(spy).toHaveBeenCalledWith(ref, expect.objectContaining({ type: "reported" })));
    setClock(Date.now() + RETURN_MS + 1000);
    await runDurableObjectAlarm(region);
    answers.resolve();
    expect(await back.next("welcome")).toMatchObject({ keep: [{ taskId, attempt: 1 }], stop: [] });
    spy.mockRestore();
    expect(await view(taskId)).toMatchObject({ state: "pushing", attempt: 1 });
  });

  it("moves the tasks of a worker that does not come back", async () => {
    const { at, worker, taskId } = await running();
    setClock(Date.now());
    await restart(at, worker);
    const region = env.REGION.getByName(at.region);
    await runDurableObjectAlarm(region);
    const other = await FakeWorker.connect({ workerId: fresh("w"), region: at.region });
    setClock(Date.now() + RETURN_MS + 1000);
    await runDurableObjectAlarm(region);
    await runDurableObjectAlarm(env.TASK.getByName(taskId));
    expect(await other.next("dispatch")).toMatchObject({ taskId, attempt: 2, resumeAtMs: 5000 });
  });

  it("does not time out a queued push while workers are expected back", async () => {
    const at = { workerId: fresh("w"), region: fresh("ap") };
    setClock(Date.now());
    await restart(at, await FakeWorker.connect(at));
    const waits = await start(await pushBody({ Region: at.region, QueueTimeout: 2 }));
    const waitsInVain = await start(await pushBody({ Region: at.region, QueueTimeout: 2 }));
    await reaches(waits, "queued");
    await reaches(waitsInVain, "queued");
    setClock(Date.now() + 2500);
    for (const taskId of [waits, waitsInVain]) {
      await eventually(async () => expect(await runDurableObjectAlarm(env.TASK.getByName(taskId))).toBe(true));
      expect(await view(taskId)).toMatchObject({ state: "queued" });
    }
    const worker = await FakeWorker.connect({ ...at, capacityUnits: 10 });
    for (const taskId of [waits, waitsInVain]) await runDurableObjectAlarm(env.TASK.getByName(taskId));
    const dispatch = await worker.next("dispatch");
    worker.report([reportOf(dispatch)], 10);
    const other = dispatch.taskId === waits ? waitsInVain : waits;
    setClock(Date.now() + RETURN_MS);
    await eventually(async () => {
      await runDurableObjectAlarm(env.TASK.getByName(other));
      expect(await view(other)).toMatchObject({ state: "failed", error: { code: "ResourceInsufficient" } });
    });
    expect(await view(dispatch.taskId)).toMatchObject({ attempt: 1 });
  });

  it("does not delay the queue timeout in a region that never had a worker", async () => {
    const region = fresh("ap");
    setClock(Date.now());
    const taskId = await start(await pushBody({ Region: region, QueueTimeout: 1 }));
    await reaches(taskId, "queued");
    setClock(Date.now() + 1500);
    await eventually(async () => {
      await runDurableObjectAlarm(env.TASK.getByName(taskId));
      expect(await view(taskId)).toMatchObject({ state: "failed", error: { code: "ResourceInsufficient" } });
    });
  });

  it("does not expect back a worker that left before", async () => {
    const at = { workerId: fresh("w"), region: fresh("ap") };
    const worker = await FakeWorker.connect(at);
    expect(await isConnected(at.region, at.workerId)).toBe(true);
    worker.close();
    await eventually(async () => expect(await isConnected(at.region, at.workerId)).toBe(false));
  });

  it("lets each waiting task retry less often when many tasks wait in its region", async () => {
    const region = fresh("ap");
    await runInDurableObject(env.REGION.getByName(region), (_region, { storage }) => {
      for (let n = 0; n < 1000; n += 1)
        storage.sql.exec("INSERT INTO waiting (task_id, units) VALUES (?, 4)", `other-${n}`);
    });
    const taskId = await start(await pushBody({ Region: region }));
    await reaches(taskId, "queued");
    await eventually(async () => {
      const nextAtMs = await runInDurableObject(env.TASK.getByName(taskId), (_task, { storage }) => storage.getAlarm());
      // With few waiting tasks, each one retries after 10 s.
      expect((nextAtMs ?? 0) - Date.now()).toBeGreaterThan(11_000);
    });
  });
});
