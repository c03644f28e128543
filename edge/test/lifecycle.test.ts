import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { CLOSE, type TaskLogs } from "@roomcast/shared";
import { afterEach, describe, expect, it, vi } from "vitest";
import { eventually } from "./eventually.test-support.ts";
import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import { ADMIN, call, fresh, pushBody, reaches, start, userSig, view } from "./fixtures.test-support.ts";
import { running } from "./running-push.test-support.ts";

afterEach(() => {
  vi.useRealTimers();
});

function place() {
  return { workerId: fresh("w"), region: fresh("ap") };
}

/** Moves the clock forward and runs the object's alarm. */
async function later(stub: DurableObjectStub, passedMs: number): Promise<void> {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + passedMs });
  await runDurableObjectAlarm(stub);
}

function stop(taskId: string, how = "now"): Promise<Response> {
  return call(`/v1/tasks/${taskId}?how=${how}`, { method: "DELETE" });
}

async function listedStatus(taskId: string): Promise<string | undefined> {
  const { tasks } = await (await call("/v1/tasks?limit=100")).json<{ tasks: { taskId: string; status: string }[] }>();
  return tasks.find((task) => task.taskId === taskId)?.status;
}

/** Returns every row of every table as text. */
function dump({ sql }: DurableObjectStorage): string {
  const tables = sql.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'").toArray();
  const own = tables.filter(({ name }) => !name.startsWith("_cf_") && !name.startsWith("sqlite_"));
  return JSON.stringify(own.map(({ name }) => sql.exec(`SELECT * FROM "${name}"`).toArray()));
}

describe("Task lifecycle", () => {
  it("places a push on a connected worker, shows its reports and ends it as finished", async () => {
    const { at, worker, body, taskId, dispatch } = await running();
    expect(dispatch).toMatchObject({ taskId, attempt: 1, resumeAtMs: null, request: body });
    expect(await view(taskId)).toMatchObject({ status: "RUNNING", ...at, plan: { video: "copy" }, attempt: 1 });

    // The newest position is shown although the Task object receives it only from time to time.
    worker.report([reportOf(dispatch, { positionMs: 6000 })]);
    await eventually(async () => expect((await view(taskId)).progress?.positionMs).toBe(6000));

    worker.ended(dispatch, { name: "finished" });
    await worker.next("ack");
    const finished = await view(taskId);
    expect(finished).toMatchObject({ status: "FINISHED", state: "finished", error: null, reason: null });
    expect(finished.progress?.positionMs).toBe(30_000);
    expect(finished.endedAt).not.toBeNull();
  });

  it("keeps the first cause of a failed push", async () => {
    const { worker, taskId, dispatch } = await running();
    const error = {
      code: "FailedOperation.SourceTruncated",
      message: "The source ended early.",
      retryable: true,
    } as const;
    worker.ended(dispatch, { name: "failed", error });
    await worker.next("ack");
    worker.ended(dispatch, { name: "finished" });
    expect(await reaches(taskId, "failed")).toMatchObject({ status: "FAILED", error });
  });

  it.each(["now", "tidy"] as const)(
    "ends a push that is stopped with how=%s as aborted, after which another stop changes nothing",
    async (how) => {
      const { worker, taskId, dispatch } = await running();
      expect((await stop(taskId, how)).status).toBe(200);
      expect(await worker.next("stop")).toMatchObject({ taskId, attempt: 1, how });
      worker.ended(dispatch, { name: "aborted", reason: "stopped" }, 7000);
      const aborted = await reaches(taskId, "aborted");
      expect(aborted).toMatchObject({
        status: "ABORTED",
        reason: "stopped by the user",
        progress: { positionMs: 7000 },
      });
      const again = await stop(taskId);
      expect(again.status).toBe(200);
      expect(await again.json()).toEqual(aborted);
    },
  );

  it("stops a waiting push at once", async () => {
    const taskId = await start(await pushBody({ Region: fresh("ap") }));
    const response = await call(`/v1/tasks/${taskId}`, { method: "DELETE", body: { how: "tidy" } });
    expect(await response.json()).toMatchObject({ state: "aborted", reason: "stopped by the user", workerId: null });
  });

  it("ends a task as aborted when its worker does not stop it in time", async () => {
    const { worker, taskId, dispatch } = await running();
    await stop(taskId);
    await worker.next("stop");
    await worker.measures(0.1, [reportOf(dispatch, { positionMs: 7000 })]);
    await later(env.TASK.getByName(taskId), 10_001);
    expect(await reaches(taskId, "aborted")).toMatchObject({
      reason: "stopped by the user",
      progress: { positionMs: 7000 },
    });
    const stops = () => worker.frames.filter(({ type }) => type === "stop").length;
    await eventually(() => expect(stops()).toBe(2));
    // The worker receives a stop after every report, until it no longer reports the task.
    await eventually(() => {
      worker.report([reportOf(dispatch)]);
      expect(stops()).toBeGreaterThan(2);
    });
  });

  it("lets a task without a worker wait for the first worker that connects", async () => {
    const at = place();
    const taskId = await start(await pushBody({ Region: at.region }));
    await eventually(() =>
      runInDurableObject(env.REGION.getByName(at.region), (_region, { storage }) => {
        expect(storage.sql.exec("SELECT * FROM waiting").toArray()).toHaveLength(1);
      }),
    );
    await evictDurableObject(env.REGION.getByName(at.region));
    const worker = await FakeWorker.connect(at);
    expect(await worker.next("dispatch")).toMatchObject({ taskId, attempt: 1 });
  });

  it("fails a task that finds no worker in time and says what to do", async () => {
    const region = fresh("ap");
    const taskId = await start(await pushBody({ Region: region }));
    await eventually(() =>
      runInDurableObject(env.REGION.getByName(region), (_region, { storage }) => {
        expect(storage.sql.exec("SELECT * FROM waiting").toArray()).toHaveLength(1);
      }),
    );
    await later(env.TASK.getByName(taskId), 60_001);
    const failed = await reaches(taskId, "failed");
    expect(failed.error).toMatchObject({ code: "ResourceInsufficient", retryable: true });
    expect(failed.error?.message).toMatch(new RegExp(`No worker is connected in region ${region}: start one there`));
    await eventually(() =>
      runInDurableObject(env.REGION.getByName(region), (_region, { storage }) => {
        expect(storage.sql.exec("SELECT * FROM waiting").toArray()).toHaveLength(0);
      }),
    );
  });

  it("gives the task of a lost worker to another one, which continues from the last position", async () => {
    const { at, worker, taskId } = await running();
    const other = await FakeWorker.connect({ ...at, workerId: fresh("w") });
    worker.close();
    const again = await other.next("dispatch");
    expect(again).toMatchObject({ taskId, attempt: 2, resumeAtMs: 5000 });
    other.report([reportOf(again)]);
    expect(await reaches(taskId, "pushing")).toMatchObject({ attempt: 2 });
  });

  it("leaves a task with its worker when that comes back within its grace", async () => {
    const { at, worker, taskId, dispatch } = await running();
    worker.close();
    const back = await FakeWorker.connect({ ...at, instanceId: worker.instanceId, running: [reportOf(dispatch)] });
    expect(await back.next("welcome")).toMatchObject({ keep: [{ taskId, attempt: 1 }] });
    await evictDurableObject(env.REGION.getByName(at.region));
    back.ended(dispatch, { name: "finished" });
    await back.next("ack");
    expect(await view(taskId)).toMatchObject({ state: "finished", attempt: 1 });
  });

  it("starts another attempt at once on a worker that was restarted without its task", async () => {
    const { at, worker, taskId } = await running();
    worker.close();
    const back = await FakeWorker.connect(at);
    expect(await back.next("dispatch")).toMatchObject({ taskId, attempt: 2, resumeAtMs: 5000 });
  });

  it("accepts the end of a task that happened while its worker was disconnected", async () => {
    const { at, worker, taskId, dispatch } = await running();
    worker.close();
    const back = await FakeWorker.connect({ ...at, instanceId: worker.instanceId });
    back.ended(dispatch, { name: "finished" });
    await back.next("ack");
    expect(await view(taskId)).toMatchObject({ state: "finished", attempt: 1 });
  });

  it("closes a silent worker's socket and gives its task to another worker", async () => {
    const { at, worker, taskId } = await running();
    const region = env.REGION.getByName(at.region);
    await later(region, 6001);
    // An alarm that came late checks again before it closes the socket.
    await later(region, 1000);
    expect(await worker.end()).toMatchObject({ code: CLOSE.silent });
    const other = await FakeWorker.connect({ ...at, workerId: fresh("w") });
    await later(region, 1001);
    await runDurableObjectAlarm(env.TASK.getByName(taskId));
    expect(await other.next("dispatch")).toMatchObject({ taskId, attempt: 2 });
  });

  it("moves the task of a draining worker without waiting for the grace", async () => {
    const { at, worker, taskId, dispatch } = await running();
    const other = await FakeWorker.connect({ ...at, workerId: fresh("w") });
    worker.send({ type: "draining", reason: "SIGTERM" });
    worker.ended(dispatch, { name: "released" }, 8000);
    expect(await other.next("dispatch")).toMatchObject({ taskId, attempt: 2, resumeAtMs: 8000 });
    await worker.next("ack");
  });

  it("stops an old attempt, which changes nothing", async () => {
    const { at, worker, taskId, dispatch } = await running();
    worker.close();
    const other = await FakeWorker.connect({ ...at, workerId: fresh("w") });
    const again = await other.next("dispatch");
    other.report([reportOf(again, { positionMs: 9000 })]);
    await reaches(taskId, "pushing");

    const thawed = await FakeWorker.connect({ ...at, instanceId: worker.instanceId, running: [reportOf(dispatch)] });
    expect(await thawed.next("welcome")).toMatchObject({ keep: [], stop: [{ taskId, attempt: 1 }] });
    thawed.report([reportOf(dispatch, { positionMs: 1 })]);
    await thawed.next("stop", (frame) => frame.attempt === 1);
    const error = { code: "FailedOperation.RoomLost", message: "lost", retryable: true } as const;
    thawed.ended(dispatch, { name: "failed", error });
    await thawed.next("ack");
    expect(await view(taskId)).toMatchObject({ state: "pushing", attempt: 2, progress: { positionMs: 9000 } });
  });

  it("gives a task to another worker after a retryable refusal and fails it after a final one", async () => {
    const at = place();
    const first = await FakeWorker.connect(at);
    const taskId = await start(await pushBody({ Region: at.region }));
    await first.next("dispatch");
    const second = await FakeWorker.connect({ ...at, workerId: fresh("w") });
    const busy = { code: "ResourceInsufficient", message: "No room.", retryable: true } as const;
    first.send({ type: "refused", taskId, attempt: 1, error: busy });
    expect(await second.next("dispatch")).toMatchObject({ taskId, attempt: 2 });
    const never = { code: "FailedOperation.SourceUnsupported", message: "Not here.", retryable: false } as const;
    second.send({ type: "refused", taskId, attempt: 2, error: never });
    expect(await reaches(taskId, "failed")).toMatchObject({ attempt: 2, error: never });
  });

  it("gives a task to another worker when its dispatch is not accepted", async () => {
    const at = place();
    const deaf = await FakeWorker.connect(at);
    const taskId = await start(await pushBody({ Region: at.region }));
    await deaf.next("dispatch");
    const other = await FakeWorker.connect({ ...at, workerId: fresh("w") });
    await later(env.TASK.getByName(taskId), 10_001);
    expect(await other.next("dispatch")).toMatchObject({ taskId, attempt: 2 });
    expect(await deaf.next("stop")).toMatchObject({ taskId, attempt: 1 });
  });

  it("fails and stops a push that runs longer than allowed", async () => {
    const { worker, taskId } = await running();
    await later(env.TASK.getByName(taskId), 24 * 3_600_000 + 1);
    const failed = await reaches(taskId, "failed");
    expect(failed.error).toMatchObject({ code: "FailedOperation.ExecutionTimeout", retryable: false });
    expect(await worker.next("stop")).toMatchObject({ taskId, how: "tidy" });
  });

  it("shows the log lines of a push without URL queries", async () => {
    // No other test has a push of this user, because a second push would add a line to the log.
    const UserId = fresh("user");
    const { worker, taskId } = await running({ rest: { UserId, UserSig: await userSig({ userId: UserId }) } });
    const message = "opening https://media.example/a.mp4?token=very-secret-token";
    worker.send({ type: "logs", taskId, attempt: 1, lines: [{ atMs: Date.now(), level: "info", message }] });
    await eventually(async () => {
      const { lines } = await (await call(`/v1/tasks/${taskId}/logs`)).json<{ lines: { message: string }[] }>();
      expect(lines.map((line) => line.message)).toEqual(["opening https://media.example/a.mp4?…"]);
    });
  });

  it("keeps the newest 1,000 log lines, oldest first", async () => {
    const { worker, taskId } = await running();
    for (const from of [0, 500, 1000]) {
      const lines = Array.from(
        { length: 500 },
        (_, n) => ({ atMs: n, level: "debug", message: `line ${from + n}` }) as const,
      );
      worker.send({ type: "logs", taskId, attempt: 1, lines });
    }
    await eventually(async () => {
      const { lines } = await (await call(`/v1/tasks/${taskId}/logs`)).json<{ lines: { message: string }[] }>();
      expect(lines).toHaveLength(1000);
      expect([lines.at(0)?.message, lines.at(-1)?.message]).toEqual(["line 500", "line 1499"]);
    });
  });

  it("asks the region about a task without reports and starts another attempt only if no worker has it", async () => {
    const { at, taskId } = await running();
    const [task, region] = [env.TASK.getByName(taskId), env.REGION.getByName(at.region)];
    await later(task, 300_001);
    expect(await view(taskId)).toMatchObject({ state: "pushing", attempt: 1 });
    await runInDurableObject(region, (_region, { storage }) => {
      storage.sql.exec("DELETE FROM assignment");
    });
    await evictDurableObject(region);
    await later(task, 300_001);
    expect(await view(taskId)).toMatchObject({ attempt: 2 });
  });

  it("keeps an ended task for 72 hours and then deletes it everywhere", async () => {
    const { worker, body, taskId, dispatch } = await running();
    worker.ended(dispatch, { name: "finished" });
    await worker.next("ack");
    const task = env.TASK.getByName(taskId);
    await eventually(async () => expect(await listedStatus(taskId)).toBe("FINISHED"));
    await later(task, 71 * 3_600_000);
    expect(await view(taskId)).toMatchObject({ state: "finished" });
    await later(task, 2 * 3_600_000);
    expect((await call(`/v1/tasks/${taskId}`)).status).toBe(404);
    expect(await listedStatus(taskId)).toBeUndefined();
    await runInDurableObject(task, async (_task, { storage }) => {
      expect([...(await storage.list()).keys()]).toEqual([]);
      expect(storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'log_line'").toArray()).toEqual([]);
      expect(await storage.getAlarm()).toBeNull();
    });
    await runInDurableObject(env.DIRECTORY.getByName(String(body["SdkAppId"])), (_directory, { storage }) => {
      expect(dump(storage)).not.toContain(taskId);
    });
  });

  it("shows no secret of a request in any answer and stores none in clear text", async () => {
    const secrets = ["redis-pass-word", "url-token-value", "url-user-pass"];
    const rest = {
      VideoSrc: "https://viewer:url-user-pass@media.example/a.mp4?token=url-token-value",
      Redis: true,
      RedisHost: "redis.internal",
      RedisPort: 6379,
      RedisPassword: "redis-pass-word",
    };
    const { at, worker, body, taskId, dispatch } = await running({ rest });
    expect(dispatch.request).toMatchObject(rest);
    const found = async () => {
      const texts = [
        await (await call(`/v1/tasks/${taskId}`)).text(),
        await (await call("/v1/tasks?limit=100")).text(),
        await (await call("/v1/workers", { as: ADMIN })).text(),
        await (await call(`/v1/tasks/${taskId}/logs`)).text(),
      ];
      for (const stub of [
        env.TASK.getByName(taskId),
        env.REGION.getByName(at.region),
        env.DIRECTORY.getByName(String(body["SdkAppId"])),
      ]) {
        texts.push(
          // SAFETY: only the object's storage is read.
          await runInDurableObject(stub as DurableObjectStub, async (_object, { storage }) =>
            JSON.stringify([[...(await storage.list())], dump(storage)]),
          ),
        );
      }
      return texts;
    };
    const clear = (await found()).join("\n");
    expect(clear).toContain("sealedRequest");
    for (const secret of [...secrets, String(body["UserSig"])]) expect(clear).not.toContain(secret);
    worker.ended(dispatch, { name: "finished" });
    await worker.next("ack");
    expect((await found()).join("\n")).toContain('"sealedRequest":null');
  });

  it("removes a claim without a task that an older edge left and returns its seat to the running task", async () => {
    const { body, taskId } = await running();
    const sdkAppId = Number(body["SdkAppId"]);
    const directory = env.DIRECTORY.getByName(String(sdkAppId));
    const orphan = crypto.randomUUID();
    const seatKey = `${sdkAppId}/string/${String(body["StrRoomId"])}/teacher`;
    await runInDurableObject(directory, async (_directory, { storage }) => {
      // The older edge had set the alarm together with the claim.
      await storage.setAlarm(Date.now() + 30_000);
      storage.sql.exec("UPDATE seat SET task_id = ? WHERE seat_key = ?", orphan, seatKey);
      storage.sql.exec("INSERT INTO idempotency VALUES (?, 'f', ?)", fresh("key"), orphan);
      storage.sql.exec(
        "INSERT INTO task VALUES (?, ?, ?, '\"room\"', 'teacher', 'ap-x', 'RUNNING', ?, NULL, ?, 0)",
        orphan,
        sdkAppId,
        seatKey,
        Date.now(),
        taskId,
      );
    });
    await later(directory, 31_000);
    await runInDurableObject(directory, (_directory, { storage }) => {
      expect(dump(storage)).not.toContain(orphan);
      expect(storage.sql.exec("SELECT task_id FROM seat WHERE seat_key = ?", seatKey).toArray()).toEqual([
        { task_id: taskId },
      ]);
    });
  });

  it("writes the loss of a worker to the task's log", async () => {
    const { worker, taskId, at } = await running();
    worker.close();
    await reaches(taskId, "queued");
    const logs = await (await call(`/v1/tasks/${taskId}/logs`)).json<TaskLogs>();
    expect(logs.lines).toContainEqual(
      expect.objectContaining({ attempt: 1, level: "warn", message: `Worker ${at.workerId} was lost.` }),
    );
    await stop(taskId);
  });

  it("quarantines a task whose workers are lost one after another, even though it pushed on each of them", async () => {
    const region = fresh("ap");
    const body = await pushBody({ Region: region });
    const taskId = await start(body);
    for (let attempt = 1; attempt <= 4; attempt += 1) {
      const worker = await FakeWorker.connect({ workerId: fresh("w"), region });
      const dispatch = await worker.next("dispatch");
      worker.report([reportOf(dispatch)]);
      expect(await reaches(taskId, "pushing")).toMatchObject({ attempt });
      worker.close();
      await reaches(taskId, attempt < 4 ? "queued" : "failed");
    }
    expect((await view(taskId)).error).toMatchObject({ code: "FailedOperation.TaskQuarantined", retryable: false });
  });
});
