import { createExecutionContext, env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import type { TaskReport } from "@roomcast/shared";
import { afterEach, describe, expect, it, vi } from "vitest";
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

/** Returns the Worker's bindings with one namespace in which some calls fail. */
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

/** Returns every frame that a worker could send about the first attempt, some of them twice. */
function framesOf(worker: FakeWorker, taskId: string): (() => void)[] {
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

/** Shuffles by Fisher and Yates with a linear congruential generator, so that a seed always gives the same order. */
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

describe("Edge with faults", () => {
  it("answers a create with an error and leaves nothing behind when the directory does not answer", async () => {
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

  it("returns the accepted task when a create whose answer was lost is repeated with its Idempotency-Key", async () => {
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

  it("ends a push once and frees its seat when frames come twice, late and in any order", async () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const push = await running();
      const { worker, taskId } = push;
      const directory = bound.DIRECTORY.getByName(String(push.body["SdkAppId"]));
      for (const send of shuffled(framesOf(worker, taskId), seed)) send();
      await worker.next("ack", (frame) => frame.taskId === taskId && frame.attempt === 1);
      const other = await FakeWorker.connect({ ...push.at, workerId: fresh("w") });
      const seen = await eventually(async () => {
        const task = await view(taskId);
        // If the task was released first, its next attempt runs, about which no frame was sent. It is ended here.
        if (task.state === "queued" || task.state === "starting") {
          for (const holder of [worker, other]) {
            holder.ended({ taskId, attempt: task.attempt }, { name: "finished" });
          }
        }
        expect(task.endedAt).not.toBeNull();
        return task;
      });
      for (const send of shuffled(framesOf(worker, taskId), seed + 100)) send();
      worker.report([]);
      // This is part of a row of the seat table.
      const seat = `${String(push.body["StrRoomId"])}/teacher","task_id"`;
      await eventually(async () => expect(await storedIn(directory)).not.toContain(seat));
      expect(await view(taskId)).toEqual(seen);
    }
  });

  it("reports the end of a task to the directory again until the directory answers", async () => {
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

  it("does not release a task that its worker has reported, even if the edge is too busy to forward the report", async () => {
    const at = { workerId: fresh("w"), region: fresh("ap") };
    const passOn = Promise.withResolvers<void>();
    // Reflect.get is used because the method is called with its object below.
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

  it("starts another attempt when the worker neither accepts nor reports the task", async () => {
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
});
