import { expect, it } from "vitest";
import { Absence } from "./absence.ts";

it("is waited for until its budget is spent, over short returns too, and then ends with what came first", () => {
  const absence = new Absence(1_000);
  expect([absence.isNow, absence.isDue(0)]).toEqual([false, false]);
  expect(absence.begin({ name: "finished" }, { nowMs: 0, workedForMs: 60_000 })).toBeUndefined();
  expect([absence.isNow, absence.isDue(500)]).toEqual([true, true]);
  expect(absence.failed(600)).toBeUndefined();
  absence.end();
  expect([absence.isNow, absence.isDue(5_000)]).toEqual([false, false]);
  expect(absence.begin({ name: "aborted", reason: "" }, { nowMs: 1_001, workedForMs: 300 })).toEqual({
    name: "aborted",
    reason: "",
  });
});

it("begins a new budget after the source was well for long", () => {
  const absence = new Absence(1_000);
  absence.begin({ name: "finished" }, { nowMs: 0, workedForMs: 0 });
  absence.end();
  expect(absence.begin({ name: "finished" }, { nowMs: 20_000, workedForMs: 19_000 })).toBeUndefined();
  expect(absence.failed(21_001)).toEqual({ name: "finished" });
});
