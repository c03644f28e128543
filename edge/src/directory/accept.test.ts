import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { seatKey } from "@roomcast/shared";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Env } from "../env.ts";
import { acceptOf } from "../testing/accept-of.ts";
import { fresh } from "../testing/fixtures.ts";
import type { Accept, Directory } from "./directory.ts";
import { HandOver } from "./hand-over.ts";
import type { ListQuery } from "./task-filter.ts";

const SDK_APP_ID = 1_477_100_001;

const directories: DurableObjectStub<Directory>[] = [];

function newDirectory(): DurableObjectStub<Directory> {
  const bound: Env = env;
  const directory = bound.DIRECTORY.getByName(fresh("directory"));
  directories.push(directory);
  return directory;
}

// Else the objects of all these tasks would still be made when the last test file is over.
beforeEach(() => {
  vi.spyOn(HandOver.prototype, "run").mockResolvedValue();
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
