import { isTerminal, type PlanSummary, RoomcastError, type TaskState, type TaskStateName } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import type { ControlEvent } from "./control-event.ts";
import { newTaskRecord } from "./new-task-record.test-support.ts";
import type { TaskRecord } from "./task-record.ts";
import { applyControlEvent } from "./task-transition.ts";

const NOW = 1_000_000;
const HOLDER = { region: "ap-x", workerId: "w" };
const ERROR = { code: "FailedOperation.RoomLost", message: "lost", retryable: true } as const;
const PROGRESS = {
  item: 0,
  positionMs: 7000,
  durationMs: null,
  fps: 30,
  bitRateKbps: 900,
  droppedFrames: 0,
  updatedAtMs: NOW - 100,
};
const PLAN: PlanSummary = { video: "transcode", audio: "copy", reasons: ["too large"] };

const STATES: Record<TaskStateName, TaskState> = {
  queued: { name: "queued", sinceMs: 1, attempt: 2 },
  starting: { name: "starting", sinceMs: 1, attempt: 2, holder: HOLDER },
  pushing: { name: "pushing", sinceMs: 1, attempt: 2, holder: HOLDER },
  paused: { name: "paused", sinceMs: 1, attempt: 2, holder: HOLDER },
  reconnecting: { name: "reconnecting", sinceMs: 1, attempt: 2, holder: HOLDER },
  finished: { name: "finished", sinceMs: 1, attempt: 2 },
  failed: { name: "failed", sinceMs: 1, attempt: 2, error: ERROR },
  aborted: { name: "aborted", sinceMs: 1, attempt: 2, reason: "enough" },
};

type Outcome = "changes" | "isStale" | "isImpossible";

/** The outcome of each event in the queue, while a worker has the task, and after the end. */
const EXPECTED: { [Type in ControlEvent["type"]]: [ControlEvent & { type: Type }, Outcome, Outcome, Outcome] } = {
  placed: [{ type: "placed", workerId: "w" }, "changes", "isImpossible", "isStale"],
  movedTo: [{ type: "movedTo", region: "ap-y" }, "changes", "isImpossible", "isStale"],
  noRoom: [{ type: "noRoom", retryAtMs: 5 }, "changes", "isImpossible", "isStale"],
  woken: [{ type: "woken" }, "changes", "isStale", "isStale"],
  acceptTimeout: [{ type: "acceptTimeout" }, "isStale", "changes", "isStale"],
  queueTimeout: [{ type: "queueTimeout", workers: 0, waitedMs: 1 }, "changes", "isImpossible", "isStale"],
  waitRestarted: [{ type: "waitRestarted", sinceMs: 5 }, "changes", "isImpossible", "isStale"],
  seatAsked: [{ type: "seatAsked" }, "changes", "isImpossible", "isStale"],
  seatClaimed: [{ type: "seatClaimed", holders: ["older"] }, "changes", "isImpossible", "isStale"],
  seatClaimDropped: [
    { type: "seatClaimDropped", seat: "untouched", replaces: ["older"] },
    "isImpossible",
    "isImpossible",
    "changes",
  ],
  giveWay: [{ type: "giveWay", successor: "newer" }, "changes", "changes", "isStale"],
  seatReturned: [{ type: "seatReturned", successor: "newer" }, "changes", "changes", "isStale"],
  resealed: [{ type: "resealed", before: "sealed", sealedRequest: "sealed again" }, "changes", "changes", "isStale"],
  requestChanged: [
    { type: "requestChanged", request: newTaskRecord({ createdAtMs: 0 }).request, sealedRequest: "new", paused: true },
    "changes",
    "changes",
    "isStale",
  ],
  stillHeld: [{ type: "stillHeld", attempt: 2 }, "isStale", "changes", "isStale"],
  progressRead: [{ type: "progressRead", attempt: 2, progress: PROGRESS, plan: PLAN }, "isStale", "changes", "isStale"],
  roomEvent: [
    { type: "roomEvent", event: { kind: "entered", own: true, removed: false, atMs: 5, others: 1 } },
    "changes",
    "changes",
    "isStale",
  ],
  stopAsked: [{ type: "stopAsked", how: "now", reason: "enough" }, "changes", "changes", "isStale"],
  stopTimeout: [{ type: "stopTimeout" }, "isImpossible", "changes", "isStale"],
  executionTimeout: [{ type: "executionTimeout", limitMs: 1 }, "isStale", "changes", "isStale"],
  broken: [{ type: "broken", error: ERROR }, "changes", "changes", "isStale"],
  settled: [{ type: "settled" }, "isImpossible", "isImpossible", "changes"],
  putOff: [{ type: "putOff", retryAtMs: 5 }, "changes", "changes", "changes"],
};

const PAIRS = Object.values(EXPECTED).flatMap(([event, queued, active, ended]) =>
  Object.values(STATES).map((state) => {
    const outcome = state.name === "queued" ? queued : isTerminal(state) ? ended : active;
    return { type: event.type, state: state.name, outcome, event };
  }),
);

function recordIn(name: TaskStateName, rest: Partial<TaskRecord> = {}): TaskRecord {
  const record = newTaskRecord({ createdAtMs: 1, replaces: ["older"] });
  const hasEnded = isTerminal(STATES[name]);
  return {
    ...record,
    state: STATES[name],
    successor: "newer",
    placeAtMs: name === "queued" ? 2 : null,
    sealedRequest: hasEnded ? null : record.sealedRequest,
    ...rest,
  };
}

function outcomeOf(record: TaskRecord, event: ControlEvent): Outcome {
  try {
    return applyControlEvent(record, event, NOW).kind === "stale" ? "isStale" : "changes";
  } catch (thrown) {
    if (thrown instanceof RoomcastError && thrown.code === "InternalError") return "isImpossible";
    throw thrown;
  }
}

function after(record: TaskRecord, event: ControlEvent): TaskRecord {
  const decision = applyControlEvent(record, event, NOW);
  if (decision.kind === "stale") throw new Error("The event is stale.");
  return decision.record;
}

describe("applyControlEvent", () => {
  it.each(PAIRS)("finds that $type in state $state $outcome", ({ state, event, outcome }) => {
    expect(outcomeOf(recordIn(state), event)).toBe(outcome);
  });

  it("names the state and the event when they cannot come together", () => {
    expect(() => applyControlEvent(recordIn("pushing"), { type: "settled" }, NOW)).toThrow(
      "A task that is pushing cannot get the event settled.",
    );
  });

  it.each<[string, TaskStateName, ControlEvent, Partial<TaskRecord>]>([
    ["marks the seat as asked for", "queued", EXPECTED.seatAsked[0], { seat: "asked" }],
    ["keeps only the older tasks that hold the seat", "queued", { type: "seatClaimed", holders: [] }, { replaces: [] }],
    [
      "leaves the older tasks to the successor when a task ends while it asks them",
      "aborted",
      { type: "seatClaimDropped", seat: "untouched", replaces: ["older", "oldest"] },
      { seat: "untouched", replaces: ["older", "oldest"] },
    ],
    ["moves a waiting task to another region", "queued", EXPECTED.movedTo[0], { region: "ap-y" }],
    [
      "replaces the sealed request with the resealed one",
      "pushing",
      EXPECTED.resealed[0],
      { sealedRequest: "sealed again" },
    ],
    ["notes when the region last counted the attempt as held", "pushing", EXPECTED.stillHeld[0], { heardAtMs: NOW }],
    ["takes progress and plan that were read", "pushing", EXPECTED.progressRead[0], { progress: PROGRESS, plan: PLAN }],
    ["puts a due placement off", "queued", { type: "putOff", retryAtMs: 50 }, { placeAtMs: 50, retryAtMs: 50 }],
    [
      "does not bring a later placement forward",
      "queued",
      { type: "putOff", retryAtMs: 1 },
      { placeAtMs: 2, retryAtMs: 1 },
    ],
    [
      "puts off a task that waits for no placement",
      "failed",
      { type: "putOff", retryAtMs: 50 },
      { placeAtMs: null, retryAtMs: 50 },
    ],
    ["marks an ended task as settled", "finished", { type: "settled" }, { settled: true, retryAtMs: 0 }],
  ])("%s", (_what, state, event, expected) => {
    const before = recordIn(state);
    expect(after(before, event)).toEqual({ ...before, ...expected });
  });

  it("keeps the position of a push when a change does not set one", () => {
    const before = recordIn("pushing", { progress: PROGRESS });
    const changed = after(before, EXPECTED.requestChanged[0]);
    expect(changed).toMatchObject({ progress: PROGRESS, paused: true, sealedRequest: "new" });
    expect(after(before, { ...EXPECTED.requestChanged[0], progress: null }).progress).toBeNull();
  });

  it.each<[string, ControlEvent]>([
    ["stillHeld of an older attempt", { type: "stillHeld", attempt: 1 }],
    ["progressRead of an older attempt", { type: "progressRead", attempt: 1, progress: PROGRESS, plan: PLAN }],
    ["resealed of an older request", { type: "resealed", before: "sealed long ago", sealedRequest: "sealed again" }],
    ["seatReturned of another successor", { type: "seatReturned", successor: "another" }],
  ])("finds that %s is stale", (_what, event) => {
    expect(applyControlEvent(recordIn("pushing"), event, NOW)).toEqual({ kind: "stale" });
  });

  it.each(["starting", "pushing"] as const)("writes news of the picture of a %s push into its log", (state) => {
    const event = { kind: "videoStarted", own: true, removed: false, atMs: 5, others: 1 } as const;
    const started = applyControlEvent(recordIn(state), { type: "roomEvent", event }, NOW);
    expect(started).toMatchObject({
      effects: [
        { type: "logLineAdded", attempt: 2, level: "info", message: "The room has the picture, as TRTC says." },
      ],
    });
    const seen = after(recordIn(state), { type: "roomEvent", event });
    const stopped = { ...event, kind: "videoStopped", atMs: 6 } as const;
    expect(applyControlEvent(seen, { type: "roomEvent", event: stopped }, NOW)).toMatchObject({
      effects: [{ level: "warn", message: "The room no longer has the picture, as TRTC says." }],
    });
  });

  it("ignores that a room was dismissed while the task waits for a worker", () => {
    const event = { kind: "dismissed", own: false, removed: false, atMs: 5, others: 0 } as const;
    expect(applyControlEvent(recordIn("queued"), { type: "roomEvent", event }, NOW)).toEqual({ kind: "stale" });
  });
});
