import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { TaskEntry, TaskList } from "@roomcast/shared";
import { afterEach, expect, test, vi } from "vitest";
import type { Caller } from "../src/auth/caller.ts";
import { Directory } from "../src/objects/directory/directory.ts";
import { type ListTasksOptions, listTasks } from "../src/operations/list-tasks.ts";
import { acceptOf } from "./accept-of.test-support.ts";
import { eventually } from "./eventually.test-support.ts";
import { reportOf } from "./fake-worker.test-support.ts";
import { ADMIN, call, fresh, pushBody, reaches, start } from "./fixtures.test-support.ts";
import { running } from "./running-push.test-support.ts";

afterEach(() => {
  vi.useRealTimers();
});

/** 10:00, so far ahead that no task is placed meanwhile. */
const T0 = Date.parse("2096-11-20T10:00:00Z");
const MINUTE = 60_000;

let apps = 1_500_000_000;

/** Tasks of an application of their own: created so many minutes after T0 and ended so many, with a status. */
async function tasks(rows: readonly (readonly [createdMin: number, endedMin: number | null, status: string])[]) {
  apps += 1;
  const sdkAppId = apps;
  const directory = env.DIRECTORY.getByName(String(sdkAppId));
  const ids: string[] = [];
  for (const [createdMin, endedMin, status] of rows) {
    vi.useFakeTimers({ toFake: ["Date"], now: T0 + createdMin * MINUTE });
    const taskId = crypto.randomUUID();
    ids.push(taskId);
    await directory.acceptGroup([acceptOf({ taskId, sdkAppId, seatKey: `${sdkAppId}/string/${taskId}/teacher` })]);
    if (endedMin !== null) {
      const errorCode = status === "FAILED" ? ("FailedOperation.SourceLost" as const) : null;
      const end = { taskId, status: status as "FINISHED", endedAtMs: T0 + endedMin * MINUTE, heir: null, errorCode };
      await directory.ended(end);
    }
  }
  vi.useRealTimers();
  return { sdkAppId, ids };
}

const ALL: Omit<ListTasksOptions, "sdkAppId"> = {
  taskId: null,
  statuses: null,
  created: null,
  ended: null,
  orderBy: "created",
  order: "desc",
  offset: 0,
  limit: 20,
};

/** Numbers from 0 up to another one that look random, the same for the same seed (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

function callerOf(...sdkAppIds: number[]): Caller {
  return { secretId: "test", sdkAppIds, role: "viewer" };
}

function minutes(fromMin: number, beforeMin: number) {
  return { fromMs: T0 + fromMin * MINUTE, beforeMs: T0 + beforeMin * MINUTE };
}

/** Created at 0, 10, 20, 30; the third still runs. */
const FOUR = [
  [0, 60, "FINISHED"],
  [10, 11, "FAILED"],
  [20, null, "RUNNING"],
  [30, 35, "ABORTED"],
] as const;

test.each([
  ["all, newest first", {}, [3, 2, 1, 0]],
  ["oldest first", { order: "asc" }, [0, 1, 2, 3]],
  ["by their end, what runs being last to end", { orderBy: "ended", order: "asc" }, [1, 3, 0, 2]],
  ["by their end, latest first", { orderBy: "ended" }, [2, 0, 3, 1]],
  ["by how long they took", { orderBy: "duration", order: "asc" }, [1, 3, 0, 2]],
  ["of some statuses", { statuses: ["FINISHED", "RUNNING"] }, [2, 0]],
  ["of no status at all", { statuses: [] }, []],
  ["created in an interval, its start included, its end not", { created: minutes(10, 30) }, [2, 1]],
  ["ended in an interval, its start included, its end not", { ended: minutes(11, 60) }, [3, 1]],
  ["of a user", { userId: "teacher" }, [3, 2, 1, 0]],
  ["of a user without any", { userId: "student" }, []],
  ["of another region", { region: "ap-other" }, []],
  ["that failed for a reason", { errorCode: "FailedOperation.SourceLost" }, [1]],
  ["that failed for another reason", { errorCode: "FailedOperation.RoomLost" }, []],
  ["that ran at a time, an end at that time not counting", { runningAtMs: T0 + 11 * MINUTE }, [0]],
  ["that ran at a time, a beginning at that time counting", { runningAtMs: T0 + 30 * MINUTE }, [3, 2, 0]],
  ["one page", { offset: 1, limit: 2 }, [2, 1]],
  ["a page past the end", { offset: 4 }, []],
] as const)("lists tasks %s", async (_what, query, expected) => {
  const { sdkAppId, ids } = await tasks(FOUR);
  const list = await listTasks(env, callerOf(sdkAppId), { ...ALL, ...query, sdkAppId });
  expect(list.tasks.map(({ taskId }) => ids.indexOf(taskId))).toEqual(expected);
});

test("the total counts what matches on all pages; counts are by status, whatever status is asked for", async () => {
  const { sdkAppId, ids } = await tasks(FOUR);
  const page = { ...ALL, sdkAppId, statuses: ["FAILED", "RUNNING"], limit: 1 } as const;
  const counts = { RUNNING: 1, FINISHED: 1, FAILED: 1, ABORTED: 1 };
  expect(await listTasks(env, callerOf(sdkAppId), page)).toMatchObject({ total: 2, counts });
  const early = await listTasks(env, callerOf(sdkAppId), { ...page, created: minutes(0, 20) });
  expect(early).toMatchObject({ total: 1, counts: { RUNNING: 0, FINISHED: 1, FAILED: 1, ABORTED: 0 } });
  const one = await listTasks(env, callerOf(sdkAppId), { ...ALL, sdkAppId, taskId: ids[3] ?? null });
  expect(one).toMatchObject({ total: 1, tasks: [{ taskId: ids[3] }] });
});

test("tasks of several applications come in one order", async () => {
  const [one, other] = [await tasks(FOUR), await tasks([[15, 16, "FINISHED"]])];
  const caller = callerOf(one.sdkAppId, other.sdkAppId);
  const list = await listTasks(env, caller, { ...ALL, sdkAppId: null, limit: 4 });
  const ids = [...one.ids, ...other.ids];
  expect(list.tasks.map(({ taskId }) => ids.indexOf(taskId))).toEqual([3, 2, 4, 1]);
  expect(list).toMatchObject({ total: 5, counts: { RUNNING: 1, FINISHED: 2, FAILED: 1, ABORTED: 1 } });
});

test("a page far behind the first tasks of several applications is that of one list of all", async () => {
  const minutesOf = (n: number, step: number) =>
    Array.from({ length: n }, (_x, i) => [i * step, null, "RUNNING"] as const);
  const [many, few] = [await tasks(minutesOf(24, 1)), await tasks(minutesOf(5, 7))];
  const caller = callerOf(many.sdkAppId, few.sdkAppId);
  const options = { ...ALL, sdkAppId: null } as const;
  for (const order of ["asc", "desc"] as const) {
    const all = (await listTasks(env, caller, { ...options, order, limit: 100 })).tasks;
    expect(all).toHaveLength(29);
    const pages: TaskEntry[] = [];
    for (let offset = 0; offset < 32; offset += 3) {
      pages.push(...(await listTasks(env, caller, { ...options, order, offset, limit: 3 })).tasks);
    }
    expect(pages).toEqual(all);
  }
});

test("what is passed over in a list of many applications is shared among them, not asked of each", async () => {
  const all = [await tasks(FOUR), await tasks(FOUR), await tasks(FOUR), await tasks(FOUR)];
  const asked = vi.spyOn(Directory.prototype, "list");
  const caller = callerOf(...all.map(({ sdkAppId }) => sdkAppId));
  await listTasks(env, caller, { ...ALL, sdkAppId: null, offset: 10_000, limit: 100 });
  expect(asked.mock.calls.map(([{ limit }]) => limit)).toEqual([2525, 2525, 2525, 2525]);
  asked.mockRestore();
});

test.each([1, 2])("the kept counts are those of a recount after random changes and deletions (%i)", async (seed) => {
  const random = randomOf(seed);
  apps += 1;
  const sdkAppId = apps;
  const directory = env.DIRECTORY.getByName(String(sdkAppId));
  const ids: string[] = [];
  for (let step = 0; step < 60; step += 1) {
    const what = random(5);
    const taskId = ids[random(Math.max(1, ids.length))];
    if (what < 2 || taskId === undefined) {
      const accepted = {
        taskId: crypto.randomUUID(),
        sdkAppId,
        seatKey: `${sdkAppId}/string/room_${random(9)}/teacher`,
      };
      ids.push(accepted.taskId);
      await directory.acceptGroup([acceptOf({ ...accepted, startsAtMs: Date.now() + 3_600_000 })]);
    } else if (what < 4) {
      const status = (["FINISHED", "FAILED", "ABORTED"] as const)[random(3)] ?? "FAILED";
      await directory.ended({ taskId, status, endedAtMs: Date.now(), heir: null });
    } else await directory.forget(taskId);
  }
  // Both in one step: Task objects report their ends to the directory meanwhile.
  const { counts, total, recount } = await runInDurableObject(directory, (instance: Directory, { storage }) => ({
    ...instance.list({ ...ALL, held: [] }),
    recount: storage.sql
      .exec<{ status: string; n: number }>("SELECT status, COUNT(*) AS n FROM task GROUP BY status")
      .toArray(),
  }));
  const none = { RUNNING: 0, FINISHED: 0, FAILED: 0, ABORTED: 0 };
  expect(counts).toEqual({ ...none, ...Object.fromEntries(recount.map(({ status, n }) => [status, n])) });
  expect(total).toBe(recount.reduce((sum, { n }) => sum + n, 0));
});

test("the counts of all tasks are read, not made: what was stored without them is counted once", async () => {
  const { sdkAppId } = await tasks(FOUR);
  const directory = env.DIRECTORY.getByName(String(sdkAppId));
  const list = () => listTasks(env, callerOf(sdkAppId), { ...ALL, sdkAppId });
  await runInDurableObject(directory, (_directory, { storage }) => {
    storage.sql.exec("UPDATE status_count SET n = 77 WHERE status = 'FAILED'");
  });
  expect((await list()).counts.FAILED).toBe(77);
  await runInDurableObject(directory, (_directory, { storage }) => {
    for (const name of ["counted", "recounted", "discounted"]) storage.sql.exec(`DROP TRIGGER task_${name}`);
    storage.sql.exec("DROP TABLE status_count");
    storage.kv.put("schema:directory", 8);
  });
  await evictDurableObject(directory);
  expect((await list()).counts).toEqual({ RUNNING: 1, FINISHED: 1, FAILED: 1, ABORTED: 1 });
});

test("a room is found by its number or its name, and not by what only looks like it", async () => {
  apps += 1;
  const sdkAppId = apps;
  const directory = env.DIRECTORY.getByName(String(sdkAppId));
  const accept = async (room: string) => {
    const taskId = crypto.randomUUID();
    await directory.acceptGroup([acceptOf({ taskId, sdkAppId, seatKey: `${sdkAppId}/${room}/teacher` })]);
    return taskId;
  };
  const [number, name, other] = [await accept("number/42"), await accept("string/42"), await accept("string/math_7b")];
  const found = async (room: string) => {
    const { tasks: listed } = await listTasks(env, callerOf(sdkAppId), { ...ALL, sdkAppId, room });
    return listed.map(({ taskId }) => taskId).toSorted();
  };
  expect(await found("42")).toEqual([number, name].toSorted());
  expect(await found("math_7b")).toEqual([other]);
  expect(await found("4")).toEqual([]);
});

test("a listed task says what it does: state, worker, attempt, position, or why it ended", async () => {
  const { taskId, worker, body } = await running();
  const one = async () => (await (await call(`/v1/tasks?room=${String(body["StrRoomId"])}`)).json<TaskList>()).tasks;
  expect(await one()).toMatchObject([
    { taskId, state: "pushing", attempt: 1, workerId: expect.any(String), progress: { positionMs: 5000 }, error: null },
  ]);
  const error = { code: "FailedOperation.SourceLost", message: "The source is gone.", retryable: true } as const;
  worker.ended({ taskId, attempt: 1 }, { name: "failed", error });
  await reaches(taskId, "failed");
  expect(await one()).toMatchObject([{ state: "failed", error: { code: "FailedOperation.SourceLost" } }]);
  const failed = `/v1/tasks?room=${String(body["StrRoomId"])}&code=FailedOperation.SourceLost`;
  const listed = () => call(failed).then((response) => response.json<TaskList>());
  await eventually(async () => expect((await listed()).tasks).toHaveLength(1));
});

test("GET /v1/tasks takes every filter", async () => {
  const { sdkAppId, ids } = await tasks(FOUR);
  const list = async (query: string) => {
    const response = await call(`/v1/tasks?SdkAppId=${sdkAppId}&${query}`, { as: ADMIN });
    return response.json<TaskList>();
  };
  const found = async (query: string) => (await list(query)).tasks.map(({ taskId }) => ids.indexOf(taskId));
  expect(await found("status=FINISHED,FAILED")).toEqual([1, 0]);
  expect(await found("createdFrom=2096-11-20T18:10:00%2B08:00&createdBefore=2096-11-20T10:30:00Z")).toEqual([2, 1]);
  expect(await found("endedBefore=2096-11-20T11:00:00Z")).toEqual([3, 1]);
  expect(await found("orderBy=ended&order=asc")).toEqual([1, 3, 0, 2]);
  expect(await found("UserId=teacher&runningAt=2096-11-20T10:30:00Z")).toEqual([3, 2, 0]);
  expect(await found("code=FailedOperation.SourceLost")).toEqual([1]);
  expect(await found("region=ap-elsewhere")).toEqual([]);
  expect(await found(`taskId=${ids[2]?.toUpperCase()}`)).toEqual([2]);
  expect((await list("")).counts).toEqual({ RUNNING: 1, FINISHED: 1, FAILED: 1, ABORTED: 1 });
  const wrong = await call("/v1/tasks?status=DONE&createdFrom=yesterday&room=a-b&code=Oops&runningAt=now&order=up", {
    as: ADMIN,
  });
  expect(await wrong.json()).toMatchObject({
    error: {
      fields: [
        { field: "status" },
        { field: "createdFrom" },
        { field: "room" },
        { field: "code" },
        { field: "runningAt" },
        { field: "order" },
      ],
    },
  });
});

test("tasks are found by the worker that has them and by what they are doing", async () => {
  const one = await running();
  const two = await running({ at: { workerId: fresh("w"), region: one.at.region } });
  const waiting = await start(await pushBody({ Region: fresh("ap") }));
  two.worker.report([reportOf(two.dispatch, { state: "paused" })]);
  await reaches(two.taskId, "paused");
  one.worker.ended(one.dispatch, { name: "finished" });
  await one.worker.next("ack");
  const found = async (query: string) => {
    const { tasks: listed } = await (await call(`/v1/tasks?limit=100&${query}`)).json<TaskList>();
    return [one.taskId, two.taskId, waiting].map((taskId) => listed.some((task) => task.taskId === taskId));
  };
  expect(await found(`worker=${two.at.workerId}`)).toEqual([false, true, false]);
  expect(await found("state=paused")).toEqual([false, true, false]);
  await eventually(async () => expect(await found("state=finished,queued")).toEqual([true, false, true]));
  expect(await found("state=pushing")).toEqual([false, false, false]);
  expect((await call("/v1/tasks?state=RUNNING")).status).toBe(400);
});
