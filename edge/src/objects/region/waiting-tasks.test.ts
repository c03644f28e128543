import { env, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { WaitingTasks, WOKEN_HOLDS_MS } from "./waiting-tasks.ts";

/** Runs with a queue of waiting tasks in separate storage. */
function withRow(tasks: Readonly<Record<string, number>>, look: (waiting: WaitingTasks) => void): Promise<void> {
  const object = env.REGION.getByName(crypto.randomUUID());
  return runInDurableObject(object, (_region, { storage }) => {
    const waiting = new WaitingTasks(storage.sql);
    for (const [taskId, units] of Object.entries(tasks)) waiting.add({ taskId, units });
    look(waiting);
  });
}

function idsOf(tasks: readonly { readonly taskId: string }[]): string[] {
  return tasks.map(({ taskId }) => taskId);
}

describe("WaitingTasks", () => {
  it("lets small tasks pass a large one that fits on no worker", () =>
    withRow({ large: 46, small: 4, middle: 10, other: 4 }, (waiting) => {
      expect(idsOf(waiting.wake([4, 10], 0))).toEqual(["small", "middle"]);
    }));

  it("wakes no task for room that is free on several workers together, but on none of them alone", () =>
    withRow({ task: 10 }, (waiting) => {
      expect(waiting.wake(Array<number>(100).fill(3), 0)).toEqual([]);
    }));

  it("keeps the place of a task that was woken and found no room", () =>
    withRow({ first: 10, second: 10 }, (waiting) => {
      expect(idsOf(waiting.wake([10], 0))).toEqual(["first"]);
      waiting.add({ taskId: "first", units: 10 });
      expect(waiting.ids()).toEqual(["first", "second"]);
      expect(idsOf(waiting.wake([10], 1))).toEqual(["first"]);
    }));

  it("gives no other task the room that a woken task is about to take, and wakes that task once", () =>
    withRow({ first: 10, second: 10 }, (waiting) => {
      waiting.wake([10], 0);
      expect(waiting.wake([10], 1)).toEqual([]);
      expect(idsOf(waiting.wake([20], 2))).toEqual(["second"]);
    }));

  it("forgets a woken task that never asks again", () =>
    withRow({ gone: 10, second: 10 }, (waiting) => {
      waiting.wake([10], 0);
      expect(idsOf(waiting.wake([10], WOKEN_HOLDS_MS))).toEqual(["second"]);
      expect(waiting.ids()).toEqual(["second"]);
    }));
});
