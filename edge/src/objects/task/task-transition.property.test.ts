import { isTerminal, type Outcome, RoomcastError, type TaskReport } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import type { WorkerEvent } from "../../contracts/task-object.ts";
import type { ControlEvent } from "./control-event.ts";
import { MAX_LOST_IN_A_ROW } from "./move-task.ts";
import { newTaskRecord } from "./new-task-record.test-support.ts";
import type { TaskRecord } from "./task-record.ts";
import { applyControlEvent, applyWorkerEvent, type Decision } from "./task-transition.ts";

/** A linear congruential generator (Numerical Recipes): the same numbers for the same seed. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const RETRYABLE = { code: "FailedOperation.RoomLost", message: "lost", retryable: true } as const;
const FOR_GOOD = { code: "FailedOperation.RoomReplaced", message: "another one", retryable: false } as const;

const OUTCOMES: readonly Outcome[] = [
  { name: "finished" },
  { name: "failed", error: RETRYABLE },
  { name: "failed", error: FOR_GOOD },
  { name: "aborted", reason: "stopped" },
  { name: "released" },
];

const CONTROLS: readonly ControlEvent[] = [
  { type: "placed", workerId: "a" },
  { type: "placed", workerId: "b" },
  { type: "placed", workerId: "a" },
  { type: "noRoom", retryAtMs: 5 },
  { type: "woken" },
  { type: "giveWay", successor: "next" },
  { type: "seatReturned", successor: "next" },
  { type: "seatReturned", successor: "other" },
  { type: "seatAsked" },
  { type: "movedTo", region: "ap-y" },
  { type: "stillHeld", attempt: 2 },
  { type: "progressRead", attempt: 1, progress: null, plan: null },
  { type: "resealed", before: "sealed", sealedRequest: "sealed again" },
  { type: "putOff", retryAtMs: 9 },
  { type: "settled" },
  { type: "acceptTimeout" },
];

const RARE_CONTROLS: readonly ControlEvent[] = [
  { type: "stopAsked", how: "tidy", reason: "enough" },
  { type: "stopAsked", how: "now", reason: "enough" },
  { type: "queueTimeout", workers: 1, waitedMs: 1 },
  { type: "waitRestarted", sinceMs: 7 },
  { type: "seatClaimed", holders: [] },
  { type: "seatClaimDropped", seat: "untouched", replaces: [] },
  { type: "stopTimeout" },
  { type: "executionTimeout", limitMs: 1 },
  { type: "broken", error: RETRYABLE },
];

function task(): TaskRecord {
  return newTaskRecord({ createdAtMs: 0, replaces: ["before"] });
}

function report(attempt: number, state: TaskReport["state"]): TaskReport {
  const numbers = { positionMs: 1, durationMs: null, bitRateKbps: 0, fps: 0, droppedFrames: 0 };
  return { taskId: "t", attempt, state, plan: null, ...numbers };
}

/** Returns an event of either worker about any attempt: current, late, repeated or of an attempt that never existed. */
function workerEventOf(random: (below: number) => number, attempt: number): WorkerEvent {
  const states = ["starting", "pushing", "paused", "reconnecting"] as const;
  switch (random(8)) {
    case 0:
      return { type: "accepted" };
    case 1:
      return { type: "refused", error: random(4) === 0 ? FOR_GOOD : RETRYABLE };
    case 2:
      return { type: "released", reason: "gone", progress: null };
    case 3:
      return { type: "ended", outcome: OUTCOMES[random(OUTCOMES.length)] ?? { name: "released" }, positionMs: 9 };
    default:
      return { type: "reported", report: report(attempt, states[random(4)] ?? "pushing") };
  }
}

/** Applies an event; an error about an event that is impossible in this state counts as no change. */
function control(record: TaskRecord, event: ControlEvent, atMs: number): Decision {
  try {
    return applyControlEvent(record, event, atMs);
  } catch (thrown) {
    if (thrown instanceof RoomcastError && thrown.code === "InternalError") return { kind: "stale" };
    throw thrown;
  }
}

function step(record: TaskRecord, random: (below: number) => number, atMs: number): Decision {
  const choice = random(20);
  const controls = choice === 0 ? RARE_CONTROLS : CONTROLS;
  if (choice < 8) return control(record, controls[random(controls.length)] ?? { type: "woken" }, atMs);
  const attempt = Math.max(1, record.state.attempt - 1 + random(3));
  return applyWorkerEvent(
    record,
    { attempt, workerId: random(2) === 0 ? "a" : "b" },
    workerEventOf(random, attempt),
    atMs,
  );
}

/** Returns the rules that the step from one record to the next breaks. */
function broken(before: TaskRecord, after: TaskRecord): string[] {
  const ended = isTerminal(after.state);
  const rules: Record<string, boolean> = {
    "a terminal state never changes": !isTerminal(before.state) || after.state === before.state,
    "the attempt never falls, nor skips": [0, 1].includes(after.state.attempt - before.state.attempt),
    "attempts that fail to start are counted": after.lostInARow < MAX_LOST_IN_A_ROW,
    "secrets are dropped at the end, and not before": (after.sealedRequest === null) === ended,
    "a task that gives way is not queued again": after.successor === null || after.state.name !== "queued",
    "no other task is replaced": after.replaces.every((taskId) => before.replaces.includes(taskId)),
  };
  return Object.keys(rules).filter((rule) => rules[rule] === false);
}

describe("applyWorkerEvent and applyControlEvent", () => {
  it("never break a task, in whatever order events come, repeated, late or of other attempts", () => {
    const problems: string[] = [];
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 1000; seed += 1) {
      const random = seeded(seed);
      let record = task();
      for (let atMs = 1; atMs <= 100; atMs += 1) {
        const decision = step(record, random, atMs);
        if (decision.kind === "stale") continue;
        problems.push(...broken(record, decision.record).map((rule) => `seed ${seed}, step ${atMs}: ${rule}`));
        record = decision.record;
      }
      outcomes.add(record.state.name);
    }
    expect(problems).toEqual([]);
    // The random events are varied enough to reach every final state.
    expect([...outcomes]).toEqual(expect.arrayContaining(["finished", "failed", "aborted"]));
  });
});
