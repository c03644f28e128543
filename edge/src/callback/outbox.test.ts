import { describe, expect, it } from "vitest";
import { newTaskRecord } from "../objects/task/new-task-record.test-support.ts";
import {
  emptied,
  enqueued,
  MAX_QUEUED,
  newOutbox,
  nextSendAtMs,
  type Outbox,
  retryAtMs,
  trying,
  without,
} from "./outbox.ts";

/** As TRTC's. */
const POLICY = { callbackTimeoutMs: 5000, callbackRetryMs: 10_000, callbackGiveUpMs: 60_000 };
const EVENT = { kind: "trtc", atMs: 0, type: 701, status: 0 } as const;

function outbox(events: number): Outbox {
  const queue = Array.from({ length: events }, (_, index) => ({ id: index + 1, event: EVENT }));
  return { ...newOutbox({ kind: "app", events: "all" }), queue, nextId: events + 1 };
}

describe("Outbox", () => {
  it("tries a failed event again at once, then every 10 s until a minute has passed", () => {
    let state = outbox(1);
    const triedAtMs: number[] = [];
    for (let nowMs: number | null = 1_000_000; nowMs !== null; ) {
      triedAtMs.push(nowMs - 1_000_000);
      state = trying(state, nowMs, POLICY);
      nowMs = retryAtMs(state, nowMs, POLICY);
    }
    expect(triedAtMs).toEqual([0, 0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000]);
  });

  it("gives up a receiver that takes 5 s to fail each time within a minute too", () => {
    let state = outbox(1);
    let tries = 0;
    for (let nowMs: number | null = 0; nowMs !== null; tries += 1) {
      expect(nowMs).toBeLessThanOrEqual(60_000);
      state = trying(state, nowMs, POLICY);
      nowMs = retryAtMs(state, nowMs + POLICY.callbackTimeoutMs, POLICY);
    }
    expect(tries).toBe(5);
  });

  it("makes an event due again soon after its try must have ended when the object dies while it sends", () => {
    const state = trying(outbox(2), 1000, POLICY);
    expect(nextSendAtMs(state)).toBe(7000);
    expect(state.queue).toHaveLength(2);
  });

  it("continues with the next event, from its first try, when one is sent; removing it twice changes nothing", () => {
    const state = without(trying(outbox(2), 1000, POLICY), 1);
    expect(state).toMatchObject({ tries: 0, firstTryAtMs: null, dueAtMs: 0, queue: [{ id: 2 }] });
    expect(without(state, 1)).toBe(state);
    expect(nextSendAtMs(without(state, 2))).toBeNull();
  });

  it("stays bounded while a receiver is away, and keeps the event that is being sent", () => {
    const state = enqueued(outbox(MAX_QUEUED), newTaskRecord({ createdAtMs: 0 }));
    expect(state.queue).toHaveLength(MAX_QUEUED);
    expect(state.queue[0]?.id).toBe(1);
    expect(state.queue[1]?.id).toBe(3);
    expect(state.queue.at(-1)?.event).toMatchObject({ state: "queued" });
  });

  it("gives later events all their tries after events were dropped for lack of a receiver", () => {
    const tried = trying(trying(outbox(2), 1000, POLICY), 1000, POLICY);
    expect(emptied(tried)).toMatchObject({ queue: [], tries: 0, firstTryAtMs: null, dueAtMs: 0 });
  });
});
