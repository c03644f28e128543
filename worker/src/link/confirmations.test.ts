import { beforeEach, describe, expect, it } from "vitest";
import { type Confirmation, Confirmations } from "./confirmations.ts";

const REF = { taskId: "0b8e1f5e-2f5d-4c86-9a7b-1c2d3e4f5a6b", attempt: 2 };
const MAX_AGE_MS = 3000;

let confirmations: Confirmations;
let settled: string[];
let nowMs: number;
/** The last confirmation. */
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

describe("Confirmations", () => {
  it("makes an attempt wait until the edge has confirmed it", async () => {
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

  it("ignores a confirmation that came before the edge was asked", async () => {
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

  it("ignores an answer that a frozen process reads too late, and asks again", async () => {
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

  it("stops waiting when the task ends", async () => {
    const ending = new AbortController();
    const waiting = wait(ending.signal);
    ending.abort(new Error("stopped"));
    await waiting;
    await wait(ending.signal);
    expect(settled).toEqual(["Error: stopped", "Error: stopped"]);
    expect(confirmations.waiting).toEqual([]);
  });

  it("lets a confirmation expire some time after the question, and with its socket", async () => {
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
});
