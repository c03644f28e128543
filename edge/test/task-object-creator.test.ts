import { env, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { Env } from "../src/contracts/env.ts";
import { AcceptedTasks } from "../src/objects/directory/accepted-tasks.ts";
import { TaskObjectCreator } from "../src/objects/directory/task-object-creator.ts";
import { acceptOf } from "./accept-of.test-support.ts";
import { fresh } from "./fixtures.test-support.ts";

const bound: Env = env;

/** The seat whose Task objects do not answer; those of all other seats do. */
const STUCK = "stuck";

/** Runs with a TaskObjectCreator of one task per seat, in separate storage, whose objects only record that they were created. */
function withTasks(seats: readonly string[], run: (parts: ReturnType<typeof partsOf>) => Promise<void>): Promise<void> {
  return runInDurableObject(bound.DIRECTORY.getByName(fresh("directory")), (_directory, { storage }) =>
    run(partsOf(storage, seats)),
  );
}

function partsOf(storage: DurableObjectStorage, seats: readonly string[]) {
  const accepted = new AcceptedTasks(storage);
  const seatOf = new Map(seats.map((seatKey, n) => [`task ${n}`, seatKey]));
  accepted.transaction((add) => {
    for (const [taskId, seatKey] of seatOf) {
      const { push, ...task } = acceptOf({ taskId, sdkAppId: 1, seatKey });
      add({ ...task, atMs: Date.now(), holder: null, replaces: [], idempotency: null }, push);
    }
  });
  const made: string[] = [];
  const asked: string[] = [];
  const objects = { answer: false };
  const create = async ({ taskId }: { taskId: string }) => {
    asked.push(taskId);
    if (seatOf.get(taskId) === STUCK && !objects.answer) await new Promise(() => undefined);
    made.push(taskId);
  };
  // SAFETY: no other binding is used.
  const objectsOnly = { TASK: { getByName: () => ({ create }) } } as unknown as Env;
  const creator = new TaskObjectCreator({ env: objectsOnly, accepted, file: () => undefined, answerTimeoutMs: 1 });
  return { accepted, creator, made, asked, objects };
}

describe("TaskObjectCreator", () => {
  it("creates the objects of other seats' tasks while one object does not answer, and retries that one later", async () => {
    await withTasks(
      [STUCK, "a", "b", "c", "d", "e", STUCK, "f"],
      async ({ accepted, creator, made, asked, objects }) => {
        await creator.run();
        expect(made.toSorted()).toEqual(["task 1", "task 2", "task 3", "task 4", "task 5", "task 7"]);
        // The newer task of a seat must find the older one, so it is not created before it.
        expect([...accepted].map(({ taskId }) => taskId)).toEqual(["task 0", "task 6"]);
        expect(asked).not.toContain("task 6");

        objects.answer = true;
        await creator.run();
        expect(made.slice(-2)).toEqual(["task 0", "task 6"]);
        expect(accepted.size).toBe(0);
      },
    );
  });

  it("rejects a request for a task whose object does not answer in time and keeps the task accepted", async () => {
    await withTasks([STUCK, STUCK], async ({ accepted, creator, asked }) => {
      await expect(creator.now("task 1")).rejects.toThrow("did not answer in time");
      expect(accepted.size).toBe(2);
      expect(asked).toEqual(["task 0"]);
    });
  });

  it("calls a task's object once when several callers need it at the same time", async () => {
    await withTasks(["a"], async ({ creator, asked }) => {
      await Promise.all([creator.run(), creator.now("task 0"), creator.now("task 0")]);
      expect(asked).toEqual(["task 0"]);
    });
  });
});
