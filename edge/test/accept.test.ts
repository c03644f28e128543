import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { seatKey } from "@roomcast/shared";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Accept, AcceptAnswer, DirectoryObject } from "../src/contracts/directory-object.ts";
import type { Env } from "../src/contracts/env.ts";
import type { ListQuery } from "../src/model/task-filter.ts";
import { TaskObjectCreator } from "../src/objects/directory/task-object-creator.ts";
import { acceptOf } from "./accept-of.test-support.ts";
import { fresh } from "./fixtures.test-support.ts";

const SDK_APP_ID = 1_477_100_001;

const directories: DurableObjectStub<DirectoryObject>[] = [];

function newDirectory(): DurableObjectStub<DirectoryObject> {
  const bound: Env = env;
  const directory = bound.DIRECTORY.getByName(fresh("directory"));
  directories.push(directory);
  return directory;
}

// Else the objects of all these tasks would still be made when the last test file is over.
beforeEach(() => {
  vi.spyOn(TaskObjectCreator.prototype, "run").mockResolvedValue();
});
afterEach(async () => {
  for (const directory of directories.splice(0)) {
    await runInDurableObject(directory, (_directory, { storage }) => storage.sql.exec("DELETE FROM accepted"));
    await evictDurableObject(directory);
  }
  vi.restoreAllMocks();
});

function asked(seat: string, rest: Partial<Parameters<typeof acceptOf>[0]> = {}) {
  return acceptOf({ taskId: fresh("task"), sdkAppId: SDK_APP_ID, seatKey: keyOf(seat), ...rest });
}

function keyOf(seat: string): string {
  return seatKey({ sdkAppId: SDK_APP_ID, room: { kind: "string", id: seat }, userId: "teacher" });
}

const EVERYTHING: ListQuery = {
  taskId: null,
  statuses: null,
  created: null,
  ended: null,
  orderBy: "created",
  order: "asc",
  limit: 10,
};

test("pushes that come in one call are answered one after another, as if each had come alone", async () => {
  const [seat, other, key] = [fresh("seat"), fresh("seat"), fresh("key")];
  const idempotency = { key, fingerprints: ["of the first request"] as [string] };
  const first = asked(seat, { idempotency });
  const repeated = asked(seat, { idempotency });
  const group = [
    first,
    asked(other),
    repeated,
    asked(fresh("seat"), { idempotency: { key, fingerprints: ["of another request"] } }),
    asked(seat, { onConflict: "reject" }),
    asked(seat),
  ];
  const answers = await newDirectory().acceptGroup(group);
  expect(answers).toEqual([
    { kind: "accepted", taskId: first.taskId },
    { kind: "accepted", taskId: group[1]?.taskId },
    { kind: "accepted", taskId: first.taskId },
    { kind: "conflict" },
    { kind: "taken", by: first.taskId },
    { kind: "accepted", taskId: group[5]?.taskId },
  ]);
});

test("who held a seat when a call began does not hold it any more for those that come later in the call", async () => {
  const directory = newDirectory();
  const [seat, other, free] = [fresh("seat"), fresh("seat"), fresh("seat")];
  const before = asked(seat);
  await directory.acceptGroup([before]);
  const newer = asked(seat);
  const group = [
    asked(seat, { onConflict: "reject" }),
    newer,
    asked(other),
    // Writes all that came before it into the tables.
    asked(other),
    asked(seat, { onConflict: "reject" }),
    asked(free, { onConflict: "reject" }),
  ];
  const answers = await directory.acceptGroup(group);
  expect(answers.map((answer) => (answer.kind === "taken" ? answer.by : answer.kind))).toEqual([
    before.taskId,
    "accepted",
    "accepted",
    "accepted",
    newer.taskId,
    "accepted",
  ]);
});

test("a call with more pushes than one statement writes keeps them all, in their order", async () => {
  const seats = Array.from({ length: 70 }, () => fresh("seat"));
  const tasks = seats.map((seat) => asked(seat, { startsAtMs: Date.now() + 3_600_000 }));
  const directory = newDirectory();
  expect(await directory.acceptGroup(tasks)).toEqual(tasks.map(({ taskId }) => ({ kind: "accepted", taskId })));
  const again = seats.map((seat) => asked(seat, { onConflict: "reject" }));
  expect(await directory.acceptGroup(again)).toEqual(tasks.map(({ taskId }) => ({ kind: "taken", by: taskId })));
  const stored = await runInDurableObject(directory, (_directory, { storage }) =>
    storage.sql.exec<{ task_id: string }>("SELECT task_id FROM task ORDER BY rowid").toArray(),
  );
  expect(stored.map(({ task_id }) => task_id)).toEqual(tasks.map(({ taskId }) => taskId));
});

test("a user's tasks in other rooms are known at once, in a call and after it, and none of other users and of ended ones", async () => {
  const directory = newDirectory();
  const rooms = Array.from({ length: 4 }, () => fresh("room"));
  const [first, second, third, fourth] = rooms.map((room) => asked(room, { otherRooms: "warn" }));
  const stranger = asked("", { seatKey: keyOf(rooms[0] ?? "").replace("/teacher", "/pupil"), otherRooms: "warn" });
  if (first === undefined || second === undefined || third === undefined || fourth === undefined) throw new Error();
  const knownOf = (answers: readonly AcceptAnswer[]) =>
    answers.map((answer) => (answer.kind === "accepted" ? answer.elsewhere?.map(({ taskId }) => taskId) : answer.kind));
  const inOneCall = await directory.acceptGroup([first, stranger, second]);
  expect(knownOf(inOneCall)).toEqual([undefined, undefined, [first.taskId]]);
  // Writes what came before into the tables.
  await directory.list(EVERYTHING);
  expect(knownOf(await directory.acceptGroup([third]))).toEqual([[second.taskId]]);
  for (const { taskId } of [second, third]) {
    await directory.ended({ taskId, status: "FINISHED", endedAtMs: Date.now(), heir: null });
  }
  expect(knownOf(await directory.acceptGroup([fourth]))).toEqual([[first.taskId]]);
});

test("of a user with a great many rooms only a few tasks are named", async () => {
  const directory = newDirectory();
  const many = Array.from({ length: 100 }, () => asked(fresh("room")));
  await directory.acceptGroup(many);
  const count = async (otherRooms: Accept["otherRooms"] & string) => {
    const [answer] = await directory.acceptGroup([asked(fresh("room"), { otherRooms })]);
    return answer?.kind === "accepted" ? answer.elsewhere?.length : answer?.kind;
  };
  expect([await count("warn"), await count("replace"), await count("reject")]).toEqual([1, 8, "taken"]);
  await directory.list(EVERYTHING);
  expect([await count("warn"), await count("replace"), await count("reject")]).toEqual([1, 8, "taken"]);
});

test.for<[string, number, number, string]>([
  ["both push now", 0, 0, "taken"],
  ["the other one starts later", 3_600_000, 0, "accepted"],
  ["the new one starts later", 0, 3_600_000, "accepted"],
  ["the other one was to start by now", -1000, 0, "taken"],
])("a push that rejects its user's task in another room, where %s", async ([_when, otherMs, ownMs, kind]) => {
  for (const isFiled of [false, true]) {
    const directory = newDirectory();
    const startsAtMs = (ms: number) => (ms === 0 ? 0 : Date.now() + ms);
    const other = asked(fresh("room"), { startsAtMs: startsAtMs(otherMs) });
    await directory.acceptGroup([other]);
    if (isFiled) await directory.list(EVERYTHING);
    const own = asked(fresh("room"), { startsAtMs: startsAtMs(ownMs), otherRooms: "reject" });
    const [answer] = await directory.acceptGroup([own]);
    expect(answer).toMatchObject(kind === "taken" ? { kind, by: other.taskId, elsewhere: other.seatKey } : { kind });
  }
});

// One statement writes 32.
test.for([3, 43])(
  "where push %i of 43 cannot be written, none of them is accepted, and the next call is as if they had not come",
  async (nth) => {
    const directory = newDirectory();
    const [seat, key] = [fresh("seat"), fresh("key")];
    const group = [
      asked(seat, { idempotency: { key, fingerprints: ["of a request that is lost"] } }),
      // Writes what came before it into the tables that are searched.
      asked(seat),
      ...Array.from({ length: 41 }, () => asked(fresh("seat"))),
    ].map((accept, at): Accept => {
      // SAFETY: that it is none is what the table refuses.
      return at === nth - 1 ? { ...accept, push: null as unknown as string } : accept;
    });
    const call = async () => directory.acceptGroup(group);
    await expect(call()).rejects.toThrow("NOT NULL");
    const next = asked(seat, { onConflict: "reject", idempotency: { key, fingerprints: ["of the next request"] } });
    expect(await directory.acceptGroup([next])).toEqual([{ kind: "accepted", taskId: next.taskId }]);
    const { tasks } = await directory.list(EVERYTHING);
    expect(tasks.map(({ taskId }) => taskId)).toEqual([next.taskId]);
    await evictDurableObject(directory);
    expect(await directory.list(EVERYTHING)).toMatchObject({ total: 1 });
  },
);
