import { beforeEach, expect, test } from "vitest";
import { Confirmations } from "./confirmations.ts";

const REF = { taskId: "0b8e1f5e-2f5d-4c86-9a7b-1c2d3e4f5a6b", attempt: 2 };
const MAX_AGE_MS = 3000;

let confirmations: Confirmations;
let settled: string[];

beforeEach(() => {
  confirmations = new Confirmations();
  settled = [];
});

function wait(signal = new AbortController().signal): Promise<void> {
  return confirmations.until(REF, signal).then(
    () => void settled.push("confirmed"),
    (error: unknown) => void settled.push(String(error)),
  );
}

test("an attempt waits until the edge has confirmed it", async () => {
  const waiting = wait();
  expect(confirmations.waiting).toEqual([REF]);
  confirmations.asked(REF, 1000);
  confirmations.confirm({ ...REF, attempt: 1 }, 1010, MAX_AGE_MS);
  confirmations.confirm(REF, 1020, MAX_AGE_MS);
  await waiting;
  expect(settled).toEqual(["confirmed"]);
  expect(confirmations.waiting).toEqual([]);
});

test("what the edge said before it was asked confirms nothing", async () => {
  const waiting = wait();
  confirmations.confirm(REF, 1000, MAX_AGE_MS);
  confirmations.asked(REF, 2000);
  confirmations.askAnew();
  confirmations.confirm(REF, 2100, MAX_AGE_MS);
  expect(confirmations.waiting).toEqual([REF]);
  confirmations.asked(REF, 3000);
  confirmations.confirm(REF, 3100, MAX_AGE_MS);
  await waiting;
});

test("an answer that a frozen process reads too late confirms nothing; it asks again", async () => {
  const waiting = wait();
  confirmations.asked(REF, 1000);
  confirmations.confirm(REF, 60_000, MAX_AGE_MS);
  expect(confirmations.waiting).toEqual([REF]);
  confirmations.asked(REF, 60_010);
  confirmations.confirm(REF, 60_020, MAX_AGE_MS);
  await waiting;
  expect(settled).toEqual(["confirmed"]);
});

test("a task that ends meanwhile waits no more", async () => {
  const ending = new AbortController();
  const waiting = wait(ending.signal);
  ending.abort(new Error("stopped"));
  await waiting;
  await wait(ending.signal);
  expect(settled).toEqual(["Error: stopped", "Error: stopped"]);
  expect(confirmations.waiting).toEqual([]);
});
