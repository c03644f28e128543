import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { TaskEntry, TaskList } from "@roomcast/shared";
import { afterEach, describe, expect, it, vi } from "vitest";
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

/** 10:00 of a day so far in the future that no task is placed during the tests. */
const T0 = Date.parse("2096-11-20T10:00:00Z");
const MINUTE = 60_000;

let apps = 1_500_000_000;

/** Makes tasks of an unused application, created and ended at the given minutes after T0, with a status. */
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

/** Returns a generator of pseudo-random integers from 0 to below a bound, which repeats for the same seed (mulberry32). */
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

/** Four tasks that were created at minutes 0, 10, 20 and 30; the third one still runs. */
const FOUR = [
  [0, 60, "FINISHED"],
  [10, 11, "FAILED"],
  [20, null, "RUNNING"],
  [30, 35, "ABORTED"],
] as const;

describe("listTasks", () => {
  it.each([
    ["of all kinds, newest first", {}, [3, 2, 1, 0]],
    ["of all kinds, oldest first", { order: "asc" }, [0, 1, 2, 3]],
    ["by their end, with running tasks last", { orderBy: "ended", order: "asc" }, [1, 3, 0, 2]],
    ["by their end, latest first", { orderBy: "ended" }, [2, 0, 3, 1]],
    ["by their duration", { orderBy: "duration", order: "asc" }, [1, 3, 0, 2]],
    ["of some statuses", { statuses: ["FINISHED", "RUNNING"] }, [2, 0]],
    ["of no status", { statuses: [] }, []],
    ["that were created in an interval, including its start but not its end", { created: minutes(10, 30) }, [2, 1]],
    ["that ended in an interval, including its start but not its end", { ended: minutes(11, 60) }, [3, 1]],
    ["of a user", { userId: "teacher" }, [3, 2, 1, 0]],
    ["of a user without tasks", { userId: "student" }, []],
    ["of another region", { region: "ap-other" }, []],
    ["that failed for a reason", { errorCode: "FailedOperation.SourceLost" }, [1]],
    ["that failed for another reason", { errorCode: "FailedOperation.RoomLost" }, []],
    ["that ran at a time, without those that ended at that moment", { runningAtMs: T0 + 11 * MINUTE }, [0]],
    ["that ran at a time, with those that started at that moment", { runningAtMs: T0 + 30 * MINUTE }, [3, 2, 0]],
    ["of one page", { offset: 1, limit: 2 }, [2, 1]],
    ["of a page past the end", { offset: 4 }, []],
  ] as const)("lists tasks %s", async (_what, query, expected) => {
    const { sdkAppId, ids } = await tasks(FOUR);
    const list = await listTasks(env, callerOf(sdkAppId), { ...ALL, ...query, sdkAppId });
    expect(list.tasks.map(({ taskId }) => ids.indexOf(taskId))).toEqual(expected);
  });

  it("totals the matches of all pages and counts by status regardless of the status filter", async () => {
    const { sdkAppId, ids } = await tasks(FOUR);
    const page = { ...ALL, sdkAppId, statuses: ["FAILED", "RUNNING"], limit: 1 } as const;
    const counts = { RUNNING: 1, FINISHED: 1, FAILED: 1, ABORTED: 1 };
    expect(await listTasks(env, callerOf(sdkAppId), page)).toMatchObject({ total: 2, counts });
    const early = await listTasks(env, callerOf(sdkAppId), { ...page, created: minutes(0, 20) });
    expect(early).toMatchObject({ total: 1, counts: { RUNNING: 0, FINISHED: 1, FAILED: 1, ABORTED: 0 } });
    const one = await listTasks(env, callerOf(sdkAppId), { ...ALL, sdkAppId, taskId: ids[3] ?? null });
    expect(one).toMatchObject({ total: 1, tasks: [{ taskId: ids[3] }] });
  });

  it("sorts tasks of several applications in one order", async () => {
    const [one, other] = [await tasks(FOUR), await tasks([[15, 16, "FINISHED"]])];
    const caller = callerOf(one.sdkAppId, other.sdkAppId);
    const list = await listTasks(env, caller, { ...ALL, sdkAppId: null, limit: 4 });
    const ids = [...one.ids, ...other.ids];
    expect(list.tasks.map(({ taskId }) => ids.indexOf(taskId))).toEqual([3, 2, 4, 1]);
    expect(list).toMatchObject({ total: 5, counts: { RUNNING: 1, FINISHED: 2, FAILED: 1, ABORTED: 1 } });
  });

  it("returns the same distant pages for several applications as one list of all their tasks would have", async () => {
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

  it("divides a large offset among many applications instead of requesting it from each", async () => {
    const all = [await tasks(FOUR), await tasks(FOUR), await tasks(FOUR), await tasks(FOUR)];
    const asked = vi.spyOn(Directory.prototype, "list");
    const caller = callerOf(...all.map(({ sdkAppId }) => sdkAppId));
    await listTasks(env, caller, { ...ALL, sdkAppId: null, offset: 10_000, limit: 100 });
    expect(asked.mock.calls.map(([{ limit }]) => limit)).toEqual([2525, 2525, 2525, 2525]);
    asked.mockRestore();
  });

  it.each([1, 2])("keeps counts that equal a recount after random changes and deletions (seed %i)", async (seed) => {
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
    // Both are read in one step, because Task objects report their ends to the directory at any time.
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

  it("reads stored counts, and counts once when an older version stored none", async () => {
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

  it("finds a room by its exact number or name only", async () => {
    apps += 1;
    const sdkAppId = apps;
    const directory = env.DIRECTORY.getByName(String(sdkAppId));
    const accept = async (room: string) => {
      const taskId = crypto.randomUUID();
      await directory.acceptGroup([acceptOf({ taskId, sdkAppId, seatKey: `${sdkAppId}/${room}/teacher` })]);
      return taskId;
    };
    const [number, name, other] = [
      await accept("number/42"),
      await accept("string/42"),
      await accept("string/math_7b"),
    ];
    const found = async (room: string) => {
      const { tasks: listed } = await listTasks(env, callerOf(sdkAppId), { ...ALL, sdkAppId, room });
      return listed.map(({ taskId }) => taskId).toSorted();
    };
    expect(await found("42")).toEqual([number, name].toSorted());
    expect(await found("math_7b")).toEqual([other]);
    expect(await found("4")).toEqual([]);
  });

  it("lists the state, worker, attempt, position and error of a task", async () => {
    const { taskId, worker, body } = await running();
    const one = async () => (await (await call(`/v1/tasks?room=${String(body["StrRoomId"])}`)).json<TaskList>()).tasks;
    expect(await one()).toMatchObject([
      {
        taskId,
        state: "pushing",
        attempt: 1,
        workerId: expect.any(String),
        progress: { positionMs: 5000 },
        error: null,
      },
    ]);
    const error = { code: "FailedOperation.SourceLost", message: "The source is gone.", retryable: true } as const;
    worker.ended({ taskId, attempt: 1 }, { name: "failed", error });
    await reaches(taskId, "failed");
    expect(await one()).toMatchObject([{ state: "failed", error: { code: "FailedOperation.SourceLost" } }]);
    const failed = `/v1/tasks?room=${String(body["StrRoomId"])}&code=FailedOperation.SourceLost`;
    const listed = () => call(failed).then((response) => response.json<TaskList>());
    await eventually(async () => expect((await listed()).tasks).toHaveLength(1));
  });

  it("applies every filter of GET /v1/tasks", async () => {
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

  it("finds tasks by their worker and by their state", async () => {
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
});
