import { describe, expect, it } from "vitest";
import { type Candidate, chooseWorker } from "./choose-worker.ts";

const worker = (workerId: string, usedUnits: number, rest: Partial<Candidate> = {}): Candidate => ({
  workerId,
  usedUnits,
  capacityUnits: 100,
  cpuLoad: null,
  busy: false,
  draining: false,
  ...rest,
});

const WANTED = { units: 10, onlyWorkerId: null, avoidWorkerId: null };

/** Returns a function that returns these numbers one after another. */
function numbers(...values: number[]): () => number {
  return () => values.shift() ?? 0;
}

describe("chooseWorker", () => {
  it.each<
    [
      string,
      readonly Candidate[],
      Partial<typeof WANTED> | { onlyWorkerId: string } | { avoidWorkerId: string },
      string | null,
    ]
  >([
    ["null when there is no worker", [], {}, null],
    ["null when the only worker is full", [worker("a", 91)], {}, null],
    ["the only worker when it has just enough room", [worker("a", 90)], {}, "a"],
    ["null when the only worker is draining", [worker("a", 0, { draining: true })], {}, null],
    ["the other worker when one of two is full", [worker("a", 95), worker("b", 50)], {}, "b"],
    ["the less loaded worker when both have room", [worker("a", 60), worker("b", 50)], {}, "b"],
    [
      "the worker with the smaller load in proportion to its capacity",
      [worker("a", 60, { capacityUnits: 1000 }), worker("b", 50)],
      {},
      "a",
    ],
    ["the required worker even when it is full", [worker("a", 100), worker("b", 50)], { onlyWorkerId: "a" }, "a"],
    [
      "null when the required worker is draining",
      [worker("a", 0, { draining: true }), worker("b", 50)],
      { onlyWorkerId: "a" },
      null,
    ],
    ["null when the required worker is not connected", [worker("b", 50)], { onlyWorkerId: "a" }, null],
    ["another worker than the one to avoid", [worker("a", 60), worker("b", 50)], { avoidWorkerId: "b" }, "a"],
    [
      "the worker whose larger one of estimate and measurement is smaller",
      [worker("a", 60), worker("b", 10, { cpuLoad: 0.7 })],
      {},
      "a",
    ],
    [
      "the worker with fewer used units when the measurement of the other is below its used units",
      [worker("a", 60, { cpuLoad: 0.1 }), worker("b", 50)],
      {},
      "b",
    ],
    [
      "the worker with the lower measurement when both are measured",
      [worker("a", 10, { cpuLoad: 0.8 }), worker("b", 20, { cpuLoad: 0.5 })],
      {},
      "b",
    ],
    [
      "the worker with the lower estimate when measurements are close",
      [worker("a", 30, { cpuLoad: 0.78 }), worker("b", 10, { cpuLoad: 0.8 })],
      {},
      "b",
    ],
    [
      "the first worker when measurements and estimates are equal",
      [worker("a", 10, { cpuLoad: 0.8 }), worker("b", 10, { cpuLoad: 0.8 })],
      {},
      "a",
    ],
    [
      "the worker that is not busy even when that carries more",
      [worker("a", 0, { busy: true }), worker("b", 80)],
      {},
      "b",
    ],
    ["the busy worker when the other is full", [worker("a", 0, { busy: true }), worker("b", 95)], {}, "a"],
    [
      "the busy worker when the other is draining",
      [worker("a", 0, { busy: true }), worker("b", 0, { draining: true })],
      {},
      "a",
    ],
    [
      "the less loaded worker when all are busy",
      [worker("a", 50, { cpuLoad: 1.2, busy: true }), worker("b", 50, { cpuLoad: 1, busy: true })],
      {},
      "b",
    ],
    ["null when the only worker is busy and full", [worker("a", 95, { cpuLoad: 0.1, busy: true })], {}, null],
    [
      "the busy worker when the other is to be avoided",
      [worker("a", 0, { busy: true }), worker("b", 0)],
      { avoidWorkerId: "b" },
      "a",
    ],
    [
      "the required worker even when it is busy",
      [worker("a", 0, { busy: true }), worker("b", 0)],
      { onlyWorkerId: "a" },
      "a",
    ],
    ["the worker to avoid when it is the only one", [worker("b", 50)], { avoidWorkerId: "b" }, "b"],
  ])("chooses %s", (_what, workers, wanted, chosen) => {
    expect(chooseWorker(workers, { ...WANTED, ...wanted }, numbers(0, 0))).toBe(chosen);
  });

  it("compares two random workers, which are never the same", () => {
    const workers = [worker("a", 30), worker("b", 20), worker("c", 0)];
    expect(chooseWorker(workers, WANTED, numbers(0, 0))).toBe("b");
    expect(chooseWorker(workers, WANTED, numbers(0, 0.99))).toBe("c");
    expect(chooseWorker(workers, WANTED, numbers(0.99, 0))).toBe("c");
    expect(chooseWorker(workers, WANTED, numbers(0.99, 0.99))).toBe("c");
    expect(chooseWorker(workers, WANTED, numbers(0.5, 0.99))).toBe("b");
  });

  it("compares only workers that are not busy when there are any", () => {
    const workers = [worker("a", 0, { busy: true }), worker("b", 20), worker("c", 0, { busy: true }), worker("d", 10)];
    expect(chooseWorker(workers, WANTED, numbers(0, 0))).toBe("d");
    expect(chooseWorker(workers, WANTED, numbers(0.99, 0.99))).toBe("d");
  });
});
