import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { readConfig } from "../src/base/config.ts";
import { seal } from "../src/base/seal.ts";
import { newTaskId } from "../src/model/task-id.ts";
import { AcceptedTasks } from "../src/objects/directory/accepted-tasks.ts";
import { DIRECTORY_TABLES } from "../src/objects/directory/directory-tables.ts";
import { eventually } from "./eventually.test-support.ts";
import { FakeWorker, reportOf } from "./fake-worker.test-support.ts";
import { ADMIN, call, fresh, pushBody, reaches, start, userSig, view } from "./fixtures.test-support.ts";

const SDK_APP_ID = 1_477_000_001;
const NOW = Date.now();

/** Returns a push in the form in which version 1 of the edge stored it in its Task object, without later fields. */
async function oldRecord(taskId: string, at: { region: string; workerId: string }, room: string) {
  const request = { VideoSrc: "https://media.example/lesson.mp4", SdkAppId: SDK_APP_ID, StrRoomId: room };
  const shown = { ...request, UserId: "teacher", Mode: "vod", Redis: false };
  const UserSig = await userSig({ sdkAppId: SDK_APP_ID });
  return {
    schema: 1,
    taskId,
    region: at.region,
    createdAtMs: NOW - 9000,
    startedAtMs: NOW - 8000,
    request: shown,
    sealedRequest: await seal({ ...shown, UserSig }, readConfig(env).sealKeys, taskId),
    state: { name: "pushing", sinceMs: NOW - 8000, attempt: 1, holder: at },
    waitingSinceMs: NOW - 9000,
    placeAtMs: null,
    accepted: true,
    stop: null,
    lostInARow: 0,
    lastWorkerId: at.workerId,
    avoidWorkerId: null,
    preferWorkerId: null,
    replaces: null,
    progress: { positionMs: 4000, durationMs: 30_000, fps: 30, bitRateKbps: 2000, droppedFrames: 0, updatedAtMs: NOW },
    plan: null,
    heardAtMs: NOW,
    settled: false,
    retryAtMs: 0,
  };
}

/** Returns an accepted push in the form in which version 3 of the Directory stored it, as one text. */
async function acceptedByVersion3({ app, UserSig, Region }: { app: number; UserSig: string; Region: string }) {
  const [taskId, room] = [newTaskId(app), fresh("room").replaceAll("-", "_")];
  const shown = { VideoSrc: "https://media.example/lesson.mp4", SdkAppId: app, StrRoomId: room, UserId: "teacher" };
  const request = { ...shown, Mode: "vod", Redis: false };
  const sealedRequest = await seal({ ...request, UserSig }, readConfig(env).sealKeys, taskId);
  return {
    task: { taskId, region: Region, request, sealedRequest, replaces: [] },
    callbacks: null,
    sdkAppId: app,
    seatKey: `${app}/string/${room}/teacher`,
    room: { kind: "string", id: room },
    userId: "teacher",
    atMs: NOW,
    holder: null,
    idempotency: null,
  };
}

/** Converts an object's tables back to those of version 1, which stored no version number. */
function downgrade(storage: DurableObjectStorage, owner: string, newer: readonly string[]): void {
  for (const statement of newer) storage.sql.exec(statement);
  storage.kv.delete(`schema:${owner}`);
}

/** Prepares a push that runs on a worker, stored by version 1 in all three objects. */
async function runningSinceVersion1() {
  const at = { region: fresh("ap"), workerId: fresh("w") };
  const [taskId, room] = [crypto.randomUUID(), fresh("room").replaceAll("-", "_")];
  const [task, region] = [env.TASK.getByName(taskId), env.REGION.getByName(at.region)];
  const directory = env.DIRECTORY.getByName(String(SDK_APP_ID));
  const [record, instanceId] = [await oldRecord(taskId, at, room), crypto.randomUUID()];
  await runInDurableObject(task, async (_task, { storage }) => {
    storage.kv.put("task", record);
    storage.sql.exec(
      `CREATE TABLE log_line (seq INTEGER PRIMARY KEY AUTOINCREMENT,
         at_ms REAL NOT NULL, attempt INTEGER NOT NULL, level TEXT NOT NULL, message TEXT NOT NULL)`,
    );
    storage.sql.exec("INSERT INTO log_line (at_ms, attempt, level, message) VALUES (?, 1, 'info', 'old line')", NOW);
    await storage.setAlarm(Date.now() + 60_000);
  });
  await runInDurableObject(region, (_region, { storage }) => {
    downgrade(storage, "region", ["DROP TABLE drained", "ALTER TABLE assignment DROP COLUMN opening_units"]);
    const row = [taskId, at.workerId, instanceId, NOW - 9000];
    storage.sql.exec("INSERT INTO assignment VALUES (?, 1, ?, ?, 10, ?, 1, 1, NULL)", ...row);
  });
  await runInDurableObject(directory, (_directory, { storage }) => {
    downgrade(storage, "directory", [
      "DROP INDEX task_by_end",
      "DROP INDEX task_by_status",
      "DROP INDEX task_by_replaced",
      "DROP TABLE accepted",
    ]);
    storage.sql.exec(
      "INSERT INTO task VALUES (?, ?, ?, ?, 'teacher', ?, 'RUNNING', ?, NULL, NULL, 1)",
      taskId,
      SDK_APP_ID,
      `${SDK_APP_ID}/string/${room}/teacher`,
      JSON.stringify(room),
      at.region,
      NOW - 9000,
    );
    storage.sql.exec("INSERT INTO seat VALUES (?, ?)", `${SDK_APP_ID}/string/${room}/teacher`, taskId);
  });
  for (const object of [task, region, directory]) await evictDurableObject(object);
  const running = [reportOf({ taskId, attempt: 1 }, { positionMs: 6000 })];
  return { at, taskId, room, connect: () => FakeWorker.connect({ ...at, instanceId, running }) };
}

/** Stores a row as an older version of the Directory would have and restarts the Directory. */
async function wakeWith(app: number, version: 3 | 4, row: Record<string, string>): Promise<void> {
  const directory = env.DIRECTORY.getByName(String(app));
  await runInDurableObject(directory, async (_directory, { storage }) => {
    if (version === 3) storage.sql.exec("ALTER TABLE accepted DROP COLUMN push");
    storage.kv.put("schema:directory", version);
    const columns = Object.keys(row);
    const marks = columns.map(() => "?").join(", ");
    storage.sql.exec(`INSERT INTO accepted (seq, ${columns.join(", ")}) VALUES (1, ${marks})`, ...Object.values(row));
    await storage.setAlarm(Date.now() + 50);
  });
  await evictDurableObject(directory);
}

describe("Upgrade of the edge", () => {
  it("keeps a stored push running, which can be viewed, changed, logged, listed and taken over", async () => {
    const { at, taskId, room, connect } = await runningSinceVersion1();
    expect(await view(taskId)).toMatchObject({ state: "pushing", progress: { item: 0, positionMs: 4000 } });
    // The worker connects at once, because a region that wakes waits only a short time for its workers.
    const worker = await connect();
    expect(await worker.next("welcome")).toMatchObject({ keep: [{ taskId, attempt: 1 }] });
    const logs = await (await call(`/v1/tasks/${taskId}/logs`, { as: ADMIN })).json<{ lines: { message: string }[] }>();
    expect(logs.lines.map(({ message }) => message)).toEqual(["old line"]);
    worker.send({ type: "logs", taskId, attempt: 1, lines: [{ atMs: NOW, level: "info", message: "new line" }] });
    await eventually(async () => {
      expect(await (await call(`/v1/tasks/${taskId}/logs`, { as: ADMIN })).text()).toContain("new line");
    });
    const change = call(`/v1/tasks/${taskId}`, { method: "PATCH", as: ADMIN, body: { Volume: 30 } });
    worker.updated(await worker.next("update"));
    expect((await change).status).toBe(200);

    const UserSig = await userSig({ sdkAppId: SDK_APP_ID });
    const body = await pushBody({ SdkAppId: SDK_APP_ID, StrRoomId: room, UserSig, Region: at.region });
    const next = await start(body, { as: ADMIN });
    const dispatch = await worker.next("dispatch", (frame) => frame.taskId === next);
    worker.ended({ taskId, attempt: 1 }, { name: "aborted", reason: `replaced by ${next}` });
    worker.report([reportOf(dispatch)]);
    await reaches(next, "pushing");
    expect(await reaches(taskId, "aborted")).toMatchObject({ request: { Volume: 30 } });
    await eventually(async () => {
      const response = await call(`/v1/tasks?SdkAppId=${SDK_APP_ID}&status=ABORTED&orderBy=ended`, { as: ADMIN });
      const { tasks } = await response.json<{ tasks: { taskId: string }[] }>();
      expect(tasks.map((task) => task.taskId)).toEqual([taskId]);
    });
  });

  it("moves a stored push when its worker does not come back", async () => {
    const { at, taskId } = await runningSinceVersion1();
    const other = await FakeWorker.connect({ region: at.region, workerId: fresh("w") });
    expect(await other.next("dispatch")).toMatchObject({ taskId, attempt: 2, resumeAtMs: 4000, resumeItem: 0 });
  });

  it.for([3, 4] as const)(
    "starts and lists a push that version %i had accepted but not handed over",
    async (version) => {
      const app = SDK_APP_ID + 2 + 10 * version;
      const UserSig = await userSig({ sdkAppId: app });
      const Region = fresh("ap");
      const record = await acceptedByVersion3({ app, UserSig, Region });
      const { task, callbacks, ...rest } = record;
      const { request, sealedRequest, ...moved } = task;
      const ofVersion4 = {
        body: JSON.stringify({ ...rest, ...moved, startsAtMs: 0 }),
        push: JSON.stringify({ request, sealedRequest, callbacks }),
      };
      await wakeWith(app, version, version === 3 ? { body: JSON.stringify(record) } : ofVersion4);
      const worker = await FakeWorker.connect({ region: Region, workerId: fresh("w") });
      expect(await worker.next("dispatch", (frame) => frame.taskId === task.taskId)).toMatchObject({
        request: { ...request, UserSig },
      });
      expect(await view(task.taskId)).toMatchObject({ createdAt: new Date(NOW).toISOString(), request });
      const response = await call(`/v1/tasks?SdkAppId=${app}`, { as: ADMIN });
      const { tasks } = await response.json<{ tasks: unknown[] }>();
      expect(tasks).toMatchObject([{ taskId: task.taskId, SdkAppId: app, room: request.StrRoomId, UserId: "teacher" }]);
    },
  );

  it("keeps everything that version 3 stored about an accepted push", async () => {
    const startAt = "2030-01-01T00:00:00.000Z";
    const row = await acceptedByVersion3({ app: SDK_APP_ID + 3, UserSig: "sealed anyhow", Region: "ap-later" });
    const { task, callbacks, ...rest } = {
      ...row,
      callbacks: { kind: "app", events: "all" },
      holder: "the one before",
    };
    const request = { ...task.request, StartAt: startAt };
    const idempotency = { key: "a key", fingerprint: "a fingerprint" };
    const whole = { ...rest, callbacks, idempotency, task: { ...task, request, replaces: ["the one before"] } };
    // This is the time that version 4 stored.
    const later = Date.parse(startAt) - 15_000;
    await runInDurableObject(env.DIRECTORY.getByName(fresh("directory")), (_directory, { storage }) => {
      storage.sql.exec("ALTER TABLE accepted DROP COLUMN push");
      storage.sql.exec("INSERT INTO accepted (seq, body) VALUES (7, ?)", JSON.stringify(whole));
      DIRECTORY_TABLES.steps[3]?.(storage.sql);
      const accepted = new AcceptedTasks(storage);
      const [waiting] = accepted;
      const { sealedRequest, taskId, region } = task;
      const replaces = ["the one before"];
      expect(waiting).toEqual({ ...rest, idempotency, taskId, region, replaces, startsAtMs: later, seq: 7 });
      expect(waiting && accepted.pushOf(waiting)).toEqual({ request, sealedRequest, callbacks });
    });
  });

  it("lists and replaces a push that was created before the Directory accepted tasks", async () => {
    const Region = fresh("ap");
    const app = SDK_APP_ID + 1;
    const body = await pushBody({ SdkAppId: app, UserSig: await userSig({ sdkAppId: app }), Region });
    const seat = `${app}/string/${String(body["StrRoomId"])}/teacher`;
    const older = crypto.randomUUID();
    const directory = env.DIRECTORY.getByName(String(app));
    const record = await oldRecord(older, { region: Region, workerId: fresh("w") }, String(body["StrRoomId"]));
    await runInDurableObject(env.TASK.getByName(older), (_task, { storage }) => storage.kv.put("task", record));
    await runInDurableObject(directory, (_directory, { storage }) => {
      storage.sql.exec("DROP TABLE accepted");
      storage.kv.put("schema:directory", 2);
      const row = [older, app, seat, JSON.stringify(body["StrRoomId"]), Region, NOW];
      storage.sql.exec("INSERT INTO task VALUES (?, ?, ?, ?, 'teacher', ?, 'RUNNING', ?, NULL, NULL, 0)", ...row);
      storage.sql.exec("INSERT INTO seat VALUES (?, ?)", seat, older);
    });
    for (const object of [directory, env.TASK.getByName(older)]) await evictDurableObject(object);
    expect(await view(older)).toMatchObject({ taskId: older, state: "pushing" });
    const newer = await start(body, { as: ADMIN });
    await eventually(async () => {
      const response = await call(`/v1/tasks?SdkAppId=${app}&orderBy=created`, { as: ADMIN });
      const { tasks } = await response.json<{ tasks: { taskId: string }[] }>();
      expect(tasks.map(({ taskId }) => taskId)).toEqual([newer, older]);
    });
    await runInDurableObject(env.TASK.getByName(newer), (_task, { storage }) => {
      expect(storage.kv.get("task")).toMatchObject({ replaces: [older] });
    });
  });
});
