import { type ActiveState, isTerminal, type TaskReport, type TaskState } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import type { WorkerEvent } from "../../contracts/task-object.ts";
import { MAX_LOST_IN_A_ROW } from "./move-task.ts";
import { newTaskRecord } from "./new-task-record.test-support.ts";
import { MAX_HOLDERS, type TaskRecord } from "./task-record.ts";
import { applyControlEvent, applyWorkerEvent, type Decision, hasHeld } from "./task-transition.ts";
import { HEALTHY_ATTEMPT_MS, MAX_WORKERS_LOST } from "./worker-loss.ts";

const NOW = 1_000_000;
const REF = { attempt: 1, workerId: "w" };
const HOLDER = { region: "ap-x", workerId: "w" };

function record(rest: Partial<TaskRecord> = {}): TaskRecord {
  return { ...newTaskRecord({ createdAtMs: NOW - 10_000 }), ...rest };
}

function active(name: ActiveState["name"], rest: Partial<TaskRecord> = {}): TaskRecord {
  const state: TaskState = { name, sinceMs: NOW - 5000, attempt: 1, holder: HOLDER };
  return record({ state, accepted: true, placeAtMs: null, lastWorkerId: "w", ...rest });
}

function report({ taskId }: TaskRecord, rest: Partial<TaskReport>): TaskReport {
  const numbers = { positionMs: 5, durationMs: null, bitRateKbps: 0, fps: 0, droppedFrames: 0 };
  return { taskId, attempt: 1, state: "pushing", plan: null, ...numbers, ...rest };
}

function next(decision: Decision): TaskRecord {
  if (decision.kind === "stale") throw new Error("stale");
  return decision.record;
}

const STOP = { how: "now", reason: "enough", atMs: NOW - 1 } as const;
const ERROR = { code: "FailedOperation.RoomLost", message: "lost", retryable: true } as const;
const FOR_GOOD = { ...ERROR, code: "FailedOperation.RoomRefused", retryable: false } as const;

const ended = (outcome: (WorkerEvent & { type: "ended" })["outcome"]): WorkerEvent => ({
  type: "ended",
  outcome,
  positionMs: 77,
});
const RELEASED: WorkerEvent & { type: "released" } = { type: "released", reason: "gone", progress: null };

function ask(task: TaskRecord, how: "now" | "tidy"): Decision {
  return applyControlEvent(task, { type: "stopAsked", how, reason: "r" }, NOW);
}

interface Losses {
  readonly count: number;
  readonly state: ActiveState["name"];
  readonly ranMs?: number;
  readonly rest?: Partial<TaskRecord>;
}

/** Returns a task whose workers were lost one after another, each after the task had reached this state. */
function afterLosses({ count, state, ranMs = 1000, rest = {} }: Losses): TaskRecord {
  let task = record(rest);
  let atMs = NOW;
  for (let attempt = 1; attempt <= count; attempt += 1) {
    const ref = { attempt, workerId: `w${attempt}` };
    task = next(applyControlEvent(task, { type: "placed", workerId: ref.workerId }, atMs));
    task = next(applyWorkerEvent(task, ref, { type: "reported", report: report(task, { attempt, state }) }, atMs));
    atMs += ranMs;
    task = next(applyWorkerEvent(task, ref, RELEASED, atMs));
  }
  return task;
}

describe("applyWorkerEvent and applyControlEvent", () => {
  it.each<[string, TaskRecord, WorkerEvent, string, number]>([
    ["queue a task whose worker is lost", active("pushing"), RELEASED, "queued", 2],
    [
      "abort a task that is being stopped when its worker is lost",
      active("pushing", { stop: STOP }),
      RELEASED,
      "aborted",
      1,
    ],
    ["queue a task that its worker has released", active("pushing"), ended({ name: "released" }), "queued", 2],
    [
      "abort a task that is being stopped when its worker releases it",
      active("pushing", { stop: STOP }),
      ended({ name: "released" }),
      "aborted",
      1,
    ],
    ["queue a task after a retryable refusal", active("starting"), { type: "refused", error: ERROR }, "queued", 2],
    ["fail a task after a final refusal", active("starting"), { type: "refused", error: FOR_GOOD }, "failed", 1],
    [
      "queue a task when the worker cannot enter a room in which an earlier attempt was",
      active("starting", { startedAtMs: NOW - 9000 }),
      ended({ name: "failed", error: ERROR }),
      "queued",
      2,
    ],
    [
      "fail a task when the worker cannot enter a room in which no attempt was",
      active("starting"),
      ended({ name: "failed", error: ERROR }),
      "failed",
      1,
    ],
    [
      "fail a task that the room refuses, even if an earlier attempt was in the room",
      active("starting", { startedAtMs: NOW - 9000 }),
      ended({ name: "failed", error: FOR_GOOD }),
      "failed",
      1,
    ],
    ["fail a task when its push fails", active("pushing"), ended({ name: "failed", error: ERROR }), "failed", 1],
    [
      "abort a task when its push fails while it is being stopped",
      active("pushing", { stop: STOP }),
      ended({ name: "failed", error: ERROR }),
      "aborted",
      1,
    ],
    [
      "finish a task when its source ends while it is being stopped",
      active("pushing", { stop: STOP }),
      ended({ name: "finished" }),
      "finished",
      1,
    ],
    [
      "finish a task whose source ends before it was reported as pushing",
      active("starting"),
      ended({ name: "finished" }),
      "finished",
      1,
    ],
  ])("%s", (_what, before, event, state, attempt) => {
    const after = next(applyWorkerEvent(before, REF, event, NOW));
    expect(after.state).toMatchObject({ name: state, attempt, sinceMs: NOW });
    expect(after.sealedRequest).toBe(isTerminal(after.state) ? null : "sealed");
  });

  it.each<[string, TaskRecord, { attempt: number; workerId: string }]>([
    [
      "an event of an older attempt",
      active("pushing", { state: { name: "pushing", sinceMs: 0, attempt: 2, holder: HOLDER } }),
      REF,
    ],
    ["an event of a future attempt", active("pushing"), { attempt: 2, workerId: "w" }],
    ["an event of another worker", active("pushing"), { attempt: 1, workerId: "other" }],
    ["a worker's event about a waiting task", record(), REF],
    ["a worker's event about an ended task", record({ state: { name: "finished", sinceMs: 0, attempt: 1 } }), REF],
  ])("find that %s is stale", (_what, before, ref) => {
    for (const event of [{ type: "accepted" }, RELEASED, ended({ name: "finished" })] as const) {
      expect(applyWorkerEvent(before, ref, event, NOW)).toEqual({ kind: "stale" });
    }
  });

  it("fail a task with the last cause after five attempts whose worker left before the dispatch", () => {
    let task = record();
    for (let attempt = 1; attempt <= MAX_LOST_IN_A_ROW; attempt += 1) {
      task = next(applyControlEvent(task, { type: "placed", workerId: "w" }, NOW));
      task = next(applyWorkerEvent(task, { attempt, workerId: "w" }, { ...RELEASED, dispatched: false }, NOW));
    }
    expect(task.state).toMatchObject({ name: "failed", error: { code: "FailedOperation.WorkerLost" } });
    expect(task.state.name === "failed" && task.state.error.message).toContain("gone");
  });

  it("reset the count of lost attempts after a healthy push", () => {
    let task = record();
    for (let attempt = 1; attempt <= 3 * MAX_LOST_IN_A_ROW; attempt += 1) {
      const ref = { attempt, workerId: "w" };
      const placedAtMs = NOW + attempt * HEALTHY_ATTEMPT_MS;
      task = next(applyControlEvent(task, { type: "placed", workerId: "w" }, placedAtMs));
      task = next(applyWorkerEvent(task, ref, { type: "reported", report: report(task, { attempt }) }, placedAtMs));
      task = next(applyWorkerEvent(task, ref, RELEASED, placedAtMs + HEALTHY_ATTEMPT_MS));
    }
    expect(task).toMatchObject({ state: { name: "queued", attempt: 3 * MAX_LOST_IN_A_ROW + 1 }, lostInARow: 1 });
  });

  it("continue the queue time after a refusal and restart it after a push", () => {
    const refused = next(applyWorkerEvent(active("starting"), REF, { type: "refused", error: ERROR }, NOW));
    expect(refused.waitingSinceMs).toBe(NOW - 10_000);
    expect(refused.placeAtMs).toBeGreaterThan(NOW);
    const lost = next(applyWorkerEvent(active("pushing"), REF, RELEASED, NOW));
    expect(lost).toMatchObject({ waitingSinceMs: NOW, placeAtMs: NOW, avoidWorkerId: "w" });
  });

  it("keep a push as pushing when an older report comes late", () => {
    const before = active("pushing");
    const late: WorkerEvent = { type: "reported", report: report(before, { state: "starting" }) };
    const after = next(applyWorkerEvent(before, REF, late, NOW));
    expect(after.state.name).toBe("pushing");
  });

  it("remember which workers had the newest attempts", () => {
    let task = record();
    for (let attempt = 1; attempt <= MAX_HOLDERS + 1; attempt += 1) {
      const workerId = `w${attempt}`;
      expect(hasHeld(task, { attempt, workerId })).toBe(false);
      task = next(applyControlEvent(task, { type: "placed", workerId }, NOW));
      task = next(applyWorkerEvent(task, { attempt, workerId }, ended({ name: "released" }), NOW));
      expect(hasHeld(task, { attempt, workerId })).toBe(true);
    }
    expect(task.holders).toHaveLength(MAX_HOLDERS);
    expect(hasHeld(task, { attempt: 1, workerId: "w1" })).toBe(false);
    expect(hasHeld(task, { attempt: 2, workerId: "w3" })).toBe(false);
  });

  it("send a repeated stop to the worker only when it is harder", () => {
    const tidy = ask(active("pushing"), "tidy");
    expect(tidy).toMatchObject({ effects: [{ how: "tidy", workerId: "w", attempt: 1 }] });
    expect(ask(next(tidy), "tidy")).toMatchObject({ effects: [] });
    const now = ask(next(tidy), "now");
    expect(now).toMatchObject({ effects: [{ how: "now" }], record: { stop: { how: "now" } } });
    expect(ask(next(now), "tidy")).toMatchObject({ effects: [], record: { stop: { how: "now" } } });
  });

  it.each([
    [0, "No worker is connected in region ap-x: start one there"],
    [3, "No room in region ap-x, where 3 workers are connected"],
  ])("mention %i workers in the error of a queue timeout", (workers, text) => {
    const after = next(applyControlEvent(record(), { type: "queueTimeout", workers, waitedMs: 60_000 }, NOW));
    expect(after.state).toMatchObject({ name: "failed", error: { code: "ResourceInsufficient", retryable: true } });
    expect(after.state.name === "failed" && after.state.error.message).toContain(text);
  });

  it("mention a worker that was lost during the start first in the error of a queue timeout", () => {
    let task = next(applyControlEvent(record(), { type: "placed", workerId: "w-7" }, NOW));
    task = next(applyWorkerEvent(task, { attempt: 1, workerId: "w-7" }, RELEASED, NOW));
    const after = next(applyControlEvent(task, { type: "queueTimeout", workers: 0, waitedMs: 133_000 }, NOW));
    expect(after.state.name === "failed" && after.state.error.message).toMatch(
      /^The push was starting on worker w-7 and was lost there: .* Since then: No worker is connected in region ap-x.*waited 133 s\.$/,
    );
  });

  it("forget a lost start once the push runs", () => {
    let task = next(applyControlEvent(record(), { type: "placed", workerId: "w" }, NOW));
    task = next(applyWorkerEvent(task, { attempt: 1, workerId: "w" }, RELEASED, NOW));
    task = next(applyControlEvent(task, { type: "placed", workerId: "w" }, NOW));
    const event = { type: "reported", report: report(task, { attempt: 2 }) } as const;
    task = next(applyWorkerEvent(task, { attempt: 2, workerId: "w" }, event, NOW));
    expect(task.lostStart).toBeNull();
  });

  describe("when the workers of a task are lost", () => {
    it.each(["starting", "pushing", "paused", "reconnecting"] as const)(
      "quarantine it with a separate code when all of them were lost while it was %s",
      (state) => {
        expect(afterLosses({ count: MAX_WORKERS_LOST - 1, state }).state.name).toBe("queued");
        const { state: end } = afterLosses({ count: MAX_WORKERS_LOST, state });
        expect(end).toMatchObject({
          name: "failed",
          error: { code: "FailedOperation.TaskQuarantined", retryable: false },
        });
        expect(end.name === "failed" && end.error.message).toMatch(/^4 workers were lost .*Look at the source.* gone$/);
      },
    );

    it("continue it when it ran long enough before each loss", () => {
      const task = afterLosses({ count: 3 * MAX_WORKERS_LOST, state: "pushing", ranMs: HEALTHY_ATTEMPT_MS });
      expect(task).toMatchObject({ state: { name: "queued" }, workersLost: 1 });
    });

    it("place it at once after the first loss and after more losses at another time than other tasks", () => {
      expect(afterLosses({ count: 1, state: "pushing" }).placeAtMs).toBe(NOW + 1000);
      const placedAt = ["one", "two", "six"].map(
        (taskId) => afterLosses({ count: 3, state: "pushing", rest: { taskId } }).placeAtMs,
      );
      expect(new Set(placedAt).size).toBe(3);
    });

    it("abort it, not quarantine it, when it is being stopped", () => {
      const lostOften = active("pushing", { stop: STOP, workersLost: MAX_WORKERS_LOST });
      expect(next(applyWorkerEvent(lostOften, REF, RELEASED, NOW)).state.name).toBe("aborted");
    });
  });
});
