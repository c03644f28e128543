import { env, runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import type { Env } from "../src/contracts/env.ts";
import { AcceptedTasks } from "../src/objects/directory/accepted-tasks.ts";
import { TaskObjectCreator } from "../src/objects/directory/task-object-creator.ts";
import { acceptOf } from "./accept-of.test-support.ts";
import { fresh } from "./fixtures.test-support.ts";

const bound: Env = env;

/** A seat whose objects do not answer, and others whose objects do. */
const STUCK = "stuck";

/** A creator of the objects of tasks of these seats, in a storage of its own, to objects that only note that they were made. */
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
  // SAFETY: nothing else of the bindings is used.
  const objectsOnly = { TASK: { getByName: () => ({ create }) } } as unknown as Env;
  const creator = new TaskObjectCreator({ env: objectsOnly, accepted, file: () => undefined, answerTimeoutMs: 1 });
  return { accepted, creator, made, asked, objects };
}

test("an object that does not answer in time keeps no other seat's task waiting, and gets its task later", async () => {
  await withTasks([STUCK, "a", "b", "c", "d", "e", STUCK, "f"], async ({ accepted, creator, made, asked, objects }) => {
    await creator.run();
    expect(made.toSorted()).toEqual(["task 1", "task 2", "task 3", "task 4", "task 5", "task 7"]);
    // The newer one of its seat must find it, and so is not made before it.
    expect([...accepted].map(({ taskId }) => taskId)).toEqual(["task 0", "task 6"]);
    expect(asked).not.toContain("task 6");

    objects.answer = true;
    await creator.run();
    expect(made.slice(-2)).toEqual(["task 0", "task 6"]);
    expect(accepted.size).toBe(0);
  });
});

test("who asks for a task whose object does not answer in time is told so, and the task stays accepted", async () => {
  await withTasks([STUCK, STUCK], async ({ accepted, creator, asked }) => {
    await expect(creator.now("task 1")).rejects.toThrow("did not answer in time");
    expect(accepted.size).toBe(2);
    expect(asked).toEqual(["task 0"]);
  });
});

test("of several who ask for one task at once its object is asked once", async () => {
  await withTasks(["a"], async ({ creator, asked }) => {
    await Promise.all([creator.run(), creator.now("task 0"), creator.now("task 0")]);
    expect(asked).toEqual(["task 0"]);
  });
});
