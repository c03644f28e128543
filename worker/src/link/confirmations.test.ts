import { beforeEach, expect, test } from "vitest";
import { type Confirmation, Confirmations } from "./confirmations.ts";

const REF = { taskId: "0b8e1f5e-2f5d-4c86-9a7b-1c2d3e4f5a6b", attempt: 2 };
const MAX_AGE_MS = 3000;

let confirmations: Confirmations;
let settled: string[];
let nowMs: number;
/** What was confirmed last. */
let confirmation: Confirmation | undefined;

beforeEach(() => {
  confirmations = new Confirmations(() => nowMs);
  settled = [];
});

async function wait(signal = new AbortController().signal): Promise<void> {
  try {
    confirmation = await confirmations.until(REF, signal);
    settled.push("confirmed");
  } catch (thrown) {
    settled.push(String(thrown));
  }
}

test("an attempt waits until the edge has confirmed it", async () => {
  const waiting = wait();
  expect(confirmations.waiting).toEqual([REF]);
  nowMs = 1000;
  confirmations.asked(REF);
  nowMs = 1010;
  confirmations.confirm({ ...REF, attempt: 1 }, MAX_AGE_MS);
  nowMs = 1020;
  confirmations.confirm(REF, MAX_AGE_MS);
  await waiting;
  expect(settled).toEqual(["confirmed"]);
  expect(confirmations.waiting).toEqual([]);
});

test("what the edge said before it was asked confirms nothing", async () => {
  const waiting = wait();
  nowMs = 1000;
  confirmations.confirm(REF, MAX_AGE_MS);
  nowMs = 2000;
  confirmations.asked(REF);
  confirmations.socketLost();
  nowMs = 2100;
  confirmations.confirm(REF, MAX_AGE_MS);
  expect(confirmations.waiting).toEqual([REF]);
  nowMs = 3000;
  confirmations.asked(REF);
  nowMs = 3100;
  confirmations.confirm(REF, MAX_AGE_MS);
  await waiting;
});

test("an answer that a frozen process reads too late confirms nothing; it asks again", async () => {
  const waiting = wait();
  nowMs = 1000;
  confirmations.asked(REF);
  nowMs = 60_000;
  confirmations.confirm(REF, MAX_AGE_MS);
  expect(confirmations.waiting).toEqual([REF]);
  nowMs = 60_010;
  confirmations.asked(REF);
  nowMs = 60_020;
  confirmations.confirm(REF, MAX_AGE_MS);
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

test("what is confirmed counts for so long after it was asked for, and over this socket only", async () => {
  const first = wait();
  nowMs = 1000;
  confirmations.asked(REF);
  nowMs = 2000;
  confirmations.confirm(REF, MAX_AGE_MS);
  await first;
  nowMs = 4000;
  expect(confirmation?.holds()).toBe(true);
  nowMs = 4001;
  expect(confirmation?.holds()).toBe(false);
  const second = wait();
  confirmations.asked(REF);
  confirmations.confirm(REF, MAX_AGE_MS);
  await second;
  expect(confirmation?.holds()).toBe(true);
  confirmations.socketLost();
  expect(confirmation?.holds()).toBe(false);
});
