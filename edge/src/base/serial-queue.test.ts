import { describe, expect, it } from "vitest";
import { SerialQueue } from "./serial-queue.ts";

describe("SerialQueue", () => {
  it("runs the jobs of one key one after another, even after a failure, while other keys do not wait", async () => {
    const queue = new SerialQueue();
    const gate = Promise.withResolvers<void>();
    const done: string[] = [];
    const first = queue.run("a", async () => {
      await gate.promise;
      done.push("a1");
      throw new Error("a1 failed");
    });
    const second = queue.run("a", async () => done.push("a2"));
    await queue.run("b", async () => done.push("b1"));
    expect(done).toEqual(["b1"]);
    gate.resolve();
    await expect(first).rejects.toThrow("a1 failed");
    await second;
    expect(done).toEqual(["b1", "a1", "a2"]);
  });
});
