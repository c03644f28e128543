import { RoomcastError } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import type { SourceChange } from "./source-change.ts";
import { type SourceFailure, SourceRetries } from "./source-retries.ts";

const CHANGE: SourceChange = { role: "return", place: { item: 0, round: 0 }, startAtMs: 4_000 };
const LOST = new RoomcastError("FailedOperation.SourceLost", "The source broke off.");

function failure(nowMs: number, changes: Partial<SourceFailure> = {}): SourceFailure {
  return { change: CHANGE, error: LOST, policy: "wait", nowMs, workedForMs: 0, ...changes };
}

describe("SourceRetries", () => {
  it("retries until the budget is spent", () => {
    const retries = new SourceRetries(1_000);
    expect([retries.change, retries.isDue(0)]).toEqual([undefined, false]);
    expect(retries.failed(failure(0))).toBeUndefined();
    expect([retries.change, retries.isDue(500)]).toEqual([CHANGE, true]);
    expect(retries.failed(failure(999))).toBeUndefined();
    expect(retries.isDue(1_000)).toBe(true);
    expect(retries.failed(failure(1_000))).toBe(LOST);
    expect([retries.change, retries.isDue(9_000)]).toEqual([undefined, false]);
  });

  it("gives up with the first error and names the last one", () => {
    const retries = new SourceRetries(1_000);
    retries.failed(failure(0));
    const error = new RoomcastError("FailedOperation.SourceForbidden", "It may not be read.");
    expect(retries.failed(failure(1_000, { error }))).toMatchObject({
      code: "FailedOperation.SourceLost",
      message: "The source broke off. It could not be opened again: It may not be read.",
    });
  });

  it("continues to count its budget when the source came back only for a moment", () => {
    const retries = new SourceRetries(1_000);
    retries.failed(failure(0));
    retries.drop();
    expect(retries.failed(failure(1_300, { workedForMs: 300 }))).toBe(LOST);
  });

  it("does not count the time that the source was back as time that it was away", () => {
    const retries = new SourceRetries(1_000);
    retries.failed(failure(0));
    retries.drop();
    expect(retries.failed(failure(9_400, { workedForMs: 9_000 }))).toBeUndefined();
  });

  it("starts a new budget after the source worked for long, or when it was not needed", () => {
    const retries = new SourceRetries(1_000);
    retries.failed(failure(0));
    retries.drop();
    expect(retries.failed(failure(20_000, { workedForMs: 19_000 }))).toBeUndefined();
    retries.reset();
    expect(retries.failed(failure(30_000))).toBeUndefined();
  });

  it("starts a new budget only with the first of several failures", () => {
    const retries = new SourceRetries(1_000);
    retries.failed(failure(0));
    retries.drop();
    expect(retries.failed(failure(60_000, { workedForMs: 50_000 }))).toBeUndefined();
    expect(retries.failed(failure(61_000, { workedForMs: 50_000 }))).toBe(LOST);
  });

  it("retries at once and with a full budget after a pause", () => {
    const retries = new SourceRetries(1_000);
    retries.failed(failure(0));
    retries.tryNow();
    expect(retries.isDue(0)).toBe(true);
    expect(retries.failed(failure(60_000))).toBeUndefined();
  });

  it("does not retry after a final error", () => {
    expect(new SourceRetries(1_000).failed(failure(0, { policy: "none" }))).toBe(LOST);
  });

  it("retries three times while ffmpeg fails without progress, and again after progress", () => {
    const retries = new SourceRetries(600_000);
    const crash = (nowMs: number, workedForMs: number) => {
      const end = retries.failed(failure(nowMs, { policy: "fewTries", workedForMs }));
      if (end === undefined) retries.drop();
      return end;
    };
    expect([crash(60_000, 60_000), crash(61_000, 900), crash(62_000, 900)]).toEqual([undefined, undefined, undefined]);
    expect(crash(68_000, 6_000)).toBeUndefined();
    expect([crash(69_000, 900), crash(70_000, 900), crash(71_000, 900)]).toEqual([undefined, undefined, LOST]);
  });
});
