import { expect, test } from "vitest";
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

/** Gives these numbers one after another. */
function numbers(...values: number[]): () => number {
  return () => values.shift() ?? 0;
}

test.each<
  [
    string,
    readonly Candidate[],
    Partial<typeof WANTED> | { onlyWorkerId: string } | { avoidWorkerId: string },
    string | null,
  ]
>([
  ["nobody is there", [], {}, null],
  ["the only one is full", [worker("a", 91)], {}, null],
  ["the only one has just room", [worker("a", 90)], {}, "a"],
  ["the only one is leaving", [worker("a", 0, { draining: true })], {}, null],
  ["one of two is full", [worker("a", 95), worker("b", 50)], {}, "b"],
  ["both have room", [worker("a", 60), worker("b", 50)], {}, "b"],
  ["load is a share, not a number", [worker("a", 60, { capacityUnits: 1000 }), worker("b", 50)], {}, "a"],
  ["only one will do, though it is full", [worker("a", 100), worker("b", 50)], { onlyWorkerId: "a" }, "a"],
  [
    "the one that would do is leaving",
    [worker("a", 0, { draining: true }), worker("b", 50)],
    { onlyWorkerId: "a" },
    null,
  ],
  ["the one that would do is not there", [worker("b", 50)], { onlyWorkerId: "a" }, null],
  ["one is to be avoided", [worker("a", 60), worker("b", 50)], { avoidWorkerId: "b" }, "a"],
  [
    "the estimates see one's work, and a measurement the other's neighbour",
    [worker("a", 60), worker("b", 10, { cpuLoad: 0.7 })],
    {},
    "a",
  ],
  ["a measurement says less than what is reserved", [worker("a", 60, { cpuLoad: 0.1 }), worker("b", 50)], {}, "b"],
  ["both are measured", [worker("a", 10, { cpuLoad: 0.8 }), worker("b", 20, { cpuLoad: 0.5 })], {}, "b"],
  ["measurements are alike", [worker("a", 30, { cpuLoad: 0.78 }), worker("b", 10, { cpuLoad: 0.8 })], {}, "b"],
  [
    "measurements and estimates are alike",
    [worker("a", 10, { cpuLoad: 0.8 }), worker("b", 10, { cpuLoad: 0.8 })],
    {},
    "a",
  ],
  ["one is busy, though the other carries more", [worker("a", 0, { busy: true }), worker("b", 80)], {}, "b"],
  ["one is busy and the other is full", [worker("a", 0, { busy: true }), worker("b", 95)], {}, "a"],
  [
    "one is busy and the other is leaving",
    [worker("a", 0, { busy: true }), worker("b", 0, { draining: true })],
    {},
    "a",
  ],
  [
    "all are busy",
    [worker("a", 50, { cpuLoad: 1.2, busy: true }), worker("b", 50, { cpuLoad: 1, busy: true })],
    {},
    "b",
  ],
  ["a busy one is full", [worker("a", 95, { cpuLoad: 0.1, busy: true })], {}, null],
  [
    "one is busy and the other to be avoided",
    [worker("a", 0, { busy: true }), worker("b", 0)],
    { avoidWorkerId: "b" },
    "a",
  ],
  ["only one will do, though it is busy", [worker("a", 0, { busy: true }), worker("b", 0)], { onlyWorkerId: "a" }, "a"],
  ["the one to be avoided is the only one", [worker("b", 50)], { avoidWorkerId: "b" }, "b"],
])("when %s", (_what, workers, wanted, chosen) => {
  expect(chooseWorker(workers, { ...WANTED, ...wanted }, numbers(0, 0))).toBe(chosen);
});

test("only two random ones are compared, and they are never the same", () => {
  const workers = [worker("a", 30), worker("b", 20), worker("c", 0)];
  expect(chooseWorker(workers, WANTED, numbers(0, 0))).toBe("b");
  expect(chooseWorker(workers, WANTED, numbers(0, 0.99))).toBe("c");
  expect(chooseWorker(workers, WANTED, numbers(0.99, 0))).toBe("c");
  expect(chooseWorker(workers, WANTED, numbers(0.99, 0.99))).toBe("c");
  expect(chooseWorker(workers, WANTED, numbers(0.5, 0.99))).toBe("b");
});

test("the two that are compared are not busy, as long as there are such", () => {
  const workers = [worker("a", 0, { busy: true }), worker("b", 20), worker("c", 0, { busy: true }), worker("d", 10)];
  expect(chooseWorker(workers, WANTED, numbers(0, 0))).toBe("d");
  expect(chooseWorker(workers, WANTED, numbers(0.99, 0.99))).toBe("d");
});
