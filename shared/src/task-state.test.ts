import { describe, expect, it } from "vitest";
import type { ErrorBody } from "./errors.ts";
import { RoomcastError } from "./errors.ts";
import {
  type ActiveStateName,
  initialState,
  isActive,
  isTerminal,
  scfStatus,
  type TaskEvent,
  type TaskState,
  type TaskStateName,
  transition,
} from "./task-state.ts";

const holder = { region: "ap-guangzhou", workerId: "worker-1" };
const error: ErrorBody = { code: "FailedOperation.SourceLost", message: "The source is gone.", retryable: true };
const was = { sinceMs: 1000, attempt: 3 };
const atMs = 2000;
const active = (name: ActiveStateName): TaskState => ({ name, ...was, holder });

const STATES: Record<TaskStateName, TaskState> = {
  queued: { name: "queued", ...was },
  starting: active("starting"),
  pushing: active("pushing"),
  paused: active("paused"),
  reconnecting: active("reconnecting"),
  finished: { name: "finished", ...was },
  failed: { name: "failed", ...was, error },
  aborted: { name: "aborted", ...was, reason: "stopped" },
};

const EVENTS = {
  placed: { type: "placed", atMs, holder },
  refused: { type: "refused", atMs },
  starting: { type: "reported", atMs, state: "starting" },
  pushing: { type: "reported", atMs, state: "pushing" },
  paused: { type: "reported", atMs, state: "paused" },
  reconnecting: { type: "reported", atMs, state: "reconnecting" },
  released: { type: "released", atMs },
  finished: { type: "finished", atMs },
  failed: { type: "failed", atMs, error },
  aborted: { type: "aborted", atMs, reason: "stopped" },
} as const satisfies Record<string, TaskEvent>;

type EventName = keyof typeof EVENTS;

/** `same` means that the same object is returned; `never` means a typed error. */
type Next = TaskStateName | "same" | "never";

// The columns are in the order of EVENTS.
const TABLE: Record<TaskStateName, readonly Next[]> = {
  queued: ["starting", "never", "never", "never", "never", "never", "never", "never", "failed", "aborted"],
  starting: ["never", "queued", "same", "pushing", "paused", "reconnecting", "queued", "finished", "failed", "aborted"],
  pushing: ["never", "never", "never", "same", "paused", "reconnecting", "queued", "finished", "failed", "aborted"],
  paused: ["never", "never", "never", "pushing", "same", "reconnecting", "queued", "finished", "failed", "aborted"],
  reconnecting: ["never", "never", "never", "pushing", "paused", "same", "queued", "finished", "failed", "aborted"],
  finished: Array.from({ length: 10 }, () => "never"),
  failed: Array.from({ length: 10 }, () => "never"),
  aborted: Array.from({ length: 10 }, () => "never"),
};

// SAFETY: the keys of literal objects.
const stateNames = Object.keys(STATES) as TaskStateName[];
// SAFETY: as above.
const eventNames = Object.keys(EVENTS) as EventName[];
const pairs = stateNames.flatMap((from) =>
  eventNames.map((event, index): [TaskStateName, EventName, Next] => [from, event, TABLE[from][index] ?? "never"]),
);

/** The fields that each state must have beside `sinceMs` and `attempt`. */
const CARRIED: Record<TaskStateName, object> = {
  queued: {},
  starting: { holder },
  pushing: { holder },
  paused: { holder },
  reconnecting: { holder },
  finished: {},
  failed: { error },
  aborted: { reason: "stopped" },
};

describe("transition", () => {
  it.each(pairs.filter(([, , next]) => next === "never"))("of a task that is %s, on %s: %s", (from, eventName) => {
    const state = Object.freeze(structuredClone(STATES[from]));
    expect(() => transition(state, EVENTS[eventName])).toThrow(
      expect.objectContaining({ constructor: RoomcastError, code: "InternalError" }),
    );
    expect(state).toEqual(STATES[from]);
  });

  it.each(pairs.filter(([, , next]) => next === "same"))(
    "of a task that is %s, on %s: the %s object",
    (from, event) => {
      expect(transition(STATES[from], EVENTS[event])).toBe(STATES[from]);
    },
  );

  const changes = pairs.flatMap(([from, event, next]) =>
    next === "never" || next === "same" ? [] : [[from, event, next] as const],
  );
  it.each(changes)("of a task that is %s, on %s: %s", (from, event, next) => {
    const state = Object.freeze(structuredClone(STATES[from]));
    const attempt = next === "queued" ? 4 : 3;
    expect(transition(state, EVENTS[event])).toEqual({ name: next, sinceMs: atMs, attempt, ...CARRIED[next] });
    expect(state).toEqual(STATES[from]);
  });

  it("drops the worker when the task is queued again", () => {
    expect(transition(STATES.pushing, EVENTS.released)).toEqual({ name: "queued", sinceMs: atMs, attempt: 4 });
  });
});

describe("Task state", () => {
  it("begins queued, for its first attempt", () => {
    expect(initialState(5)).toEqual({ name: "queued", sinceMs: 5, attempt: 1 });
  });

  it.each<[TaskStateName, string, boolean, boolean]>([
    ["queued", "RUNNING", false, false],
    ["starting", "RUNNING", true, false],
    ["pushing", "RUNNING", true, false],
    ["paused", "RUNNING", true, false],
    ["reconnecting", "RUNNING", true, false],
    ["finished", "FINISHED", false, true],
    ["failed", "FAILED", false, true],
    ["aborted", "ABORTED", false, true],
  ])("%s is %s to users of the SCF API (active: %s, terminal: %s)", (name, status, heldByWorker, terminal) => {
    expect(scfStatus(name)).toBe(status);
    expect(isActive(STATES[name])).toBe(heldByWorker);
    expect(isTerminal(STATES[name])).toBe(terminal);
  });
});
