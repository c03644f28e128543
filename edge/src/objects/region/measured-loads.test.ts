import { SMOOTHING_MS } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { MeasuredLoads } from "./measured-loads.ts";

const HOLDS_MS = 6000;

const worker = (usedUnits: number, capacityUnits = 200) => ({ workerId: "w", usedUnits, capacityUnits });

function loads(): MeasuredLoads {
  return new MeasuredLoads(() => HOLDS_MS);
}

describe("MeasuredLoads", () => {
  it("counts a measured load until it is stale, and returns null for a worker that has reported none", () => {
    const measured = loads();
    expect(measured.expected(worker(20), 1000)).toBeNull();
    measured.note(worker(20), 0.75, 1000);
    expect(measured.said("w", 1000 + HOLDS_MS - 1)).toBe(0.75);
    expect(measured.expected(worker(20), 1000 + HOLDS_MS - 1)).toBe(0.75);
    expect(measured.said("w", 1000 + HOLDS_MS)).toBeNull();
    expect(measured.expected(worker(20), 1000 + HOLDS_MS)).toBeNull();
  });

  it("adds what is reserved after the measurement", () => {
    const measured = loads();
    measured.note(worker(0), 0.5, 1000);
    expect(measured.expected(worker(20), 1500)).toBeCloseTo(0.6);
    expect(measured.expected(worker(200), 1500)).toBeCloseTo(1.5);
  });

  it("subtracts what has ended since the measurement, down to zero", () => {
    const measured = loads();
    measured.note(worker(100), 0.75, 1000);
    expect(measured.expected(worker(60), 1500)).toBeCloseTo(0.55);
    measured.note(worker(100), 0.1, 1600);
    expect(measured.expected(worker(0), 1600)).toBe(0);
  });

  it("adds a new task to the next measurements too, less and less, because they are smoothed", () => {
    const measured = loads();
    measured.note(worker(0), 0.5, 0);
    // The worker has reported the task, but has not measured it yet.
    measured.note(worker(40), 0.5, 1000);
    expect(measured.expected(worker(40), 1000)).toBeCloseTo(0.7);
    for (let atMs = 2000; atMs <= 1000 + SMOOTHING_MS; atMs += 1000) measured.note(worker(40), 0.5, atMs);
    expect(measured.expected(worker(40), 1000 + SMOOTHING_MS)).toBeCloseTo(0.5 + 0.2 / Math.E);
    for (let atMs = 7000; atMs <= 60_000; atMs += 1000) measured.note(worker(40), 0.5, atMs);
    expect(measured.expected(worker(40), 60_000)).toBeCloseTo(0.5);
  });

  it("takes a report that comes in several frames as one measurement", () => {
    const measured = loads();
    measured.note(worker(0), 0.5, 0);
    measured.note(worker(40), 0.5, 1000);
    measured.note(worker(40), 0.5, 1000);
    expect(measured.expected(worker(40), 1000)).toBeCloseTo(0.7);
  });

  it("takes a measurement after a long pause as the load of everything that runs", () => {
    const measured = loads();
    measured.note(worker(0), 0.1, 0);
    measured.note(worker(100), 0.5, HOLDS_MS);
    expect(measured.expected(worker(100), HOLDS_MS)).toBe(0.5);
  });

  it("forgets a worker that is gone, and returns a load for a worker without capacity", () => {
    const measured = loads();
    measured.note(worker(0, 0), 0.5, 0);
    expect(measured.expected(worker(0, 0), 0)).toBe(0.5);
    measured.forget("w");
    expect(measured.expected(worker(0, 0), 0)).toBeNull();
  });
});
