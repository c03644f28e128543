import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { seatKey } from "@roomcast/shared";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
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

// Otherwise the Task objects of all these tasks would still be created after the last test file has ended.
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

describe("Directory.acceptGroup", () => {
  it("answers the pushes of one call in order, as if each had come in its own call", async () => {
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

  it("regards a seat as held by the newest push, also when an earlier push of the same call took it", async () => {
    const directory = newDirectory();
    const [seat, other, free] = [fresh("seat"), fresh("seat"), fresh("seat")];
    const before = asked(seat);
    await directory.acceptGroup([before]);
    const newer = asked(seat);
    const group = [
      asked(seat, { onConflict: "reject" }),
      newer,
      asked(other),
      // A second push for the same seat makes the directory write all earlier ones into its tables.
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

  it("keeps all pushes in their order when there are more than one SQL statement can write", async () => {
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

  it("names the user's running tasks in other rooms, also those of the same call, but no ended tasks and no other users' tasks", async () => {
    const directory = newDirectory();
    const rooms = Array.from({ length: 4 }, () => fresh("room"));
    const [first, second, third, fourth] = rooms.map((room) => asked(room, { otherRooms: "warn" }));
    const stranger = asked("", { seatKey: keyOf(rooms[0] ?? "").replace("/teacher", "/pupil"), otherRooms: "warn" });
    if (first === undefined || second === undefined || third === undefined || fourth === undefined) throw new Error();
    const knownOf = (answers: readonly AcceptAnswer[]) =>
      answers.map((answer) =>
        answer.kind === "accepted" ? answer.elsewhere?.map(({ taskId }) => taskId) : answer.kind,
      );
    const inOneCall = await directory.acceptGroup([first, stranger, second]);
    expect(knownOf(inOneCall)).toEqual([undefined, undefined, [first.taskId]]);
    // Listing writes the earlier tasks into the tables.
    await directory.list(EVERYTHING);
    expect(knownOf(await directory.acceptGroup([third]))).toEqual([[second.taskId]]);
    for (const { taskId } of [second, third]) {
      await directory.ended({ taskId, status: "FINISHED", endedAtMs: Date.now(), heir: null });
    }
    expect(knownOf(await directory.acceptGroup([fourth]))).toEqual([[first.taskId]]);
  });

  it("names only a few tasks when the user pushes into very many rooms", async () => {
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

  it.for<[string, number, number, string]>([
    ["answers 'taken' when both tasks push now", 0, 0, "taken"],
    ["accepts when the other task starts later", 3_600_000, 0, "accepted"],
    ["accepts when the new task starts later", 0, 3_600_000, "accepted"],
    ["answers 'taken' when the StartAt of the other task has passed", -1000, 0, "taken"],
  ])("%s and a push rejects its user's tasks in other rooms", async ([_when, otherMs, ownMs, kind]) => {
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

  // One SQL statement writes 32 tasks.
  it.for([3, 43])(
    "accepts none of 43 pushes and leaves no trace of them when push %i cannot be written",
    async (nth) => {
      const directory = newDirectory();
      const [seat, key] = [fresh("seat"), fresh("key")];
      const group = [
        asked(seat, { idempotency: { key, fingerprints: ["of a request that is lost"] } }),
        // A second push for the same seat makes the directory write the first one into the tables that it searches.
        asked(seat),
        ...Array.from({ length: 41 }, () => asked(fresh("seat"))),
      ].map((accept, at): Accept => {
        // SAFETY: the value is deliberately wrong, so that the table refuses it.
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
});
