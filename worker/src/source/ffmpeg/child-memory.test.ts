import { describe, expect, it } from "vitest";
import { ChildMemory } from "./child-memory.ts";

/** The memory that each child uses in bytes, by process id. */
function watched(budgetBytes: number, limitBytes: number, resident: Map<number, number | null>) {
  const ended: [pid: number, limitBytes: number][] = [];
  const memory = new ChildMemory({ budgetBytes, residentBytes: (pid) => resident.get(pid) ?? null });
  const unwatch = [...resident.keys()].map((pid) =>
    memory.watch({ pid, limitBytes, onExcess: (limit) => ended.push([pid, limit]) }),
  );
  return { memory, ended, stop: () => unwatch.forEach((end) => end()) };
}

describe("ChildMemory", () => {
  it("ends only the child that exceeds its limit, and only once", () => {
    const { memory, ended, stop } = watched(
      1000,
      100,
      new Map([
        [1, 101],
        [2, 100],
      ]),
    );
    memory.look();
    memory.look();
    expect(ended).toEqual([[1, 100]]);
    stop();
  });

  it("ends the largest child when all children together exceed the worker's limit", () => {
    const resident = new Map([
      [1, 60],
      [2, 90],
      [3, 70],
    ]);
    const { memory, ended, stop } = watched(200, 100, resident);
    memory.look();
    expect(ended).toEqual([[2, 90]]);
    resident.delete(2);
    memory.look();
    expect(ended).toHaveLength(1);
    stop();
  });

  it("ends no child when memory cannot be read", () => {
    const { memory, ended, stop } = watched(1, 1, new Map([[1, null]]));
    memory.look();
    expect(ended).toEqual([]);
    stop();
  });
});
