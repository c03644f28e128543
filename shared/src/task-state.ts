import { type ErrorBody, RoomcastError } from "./errors.ts";

/** States in which a worker holds the task. */
export const ACTIVE_STATES = ["starting", "pushing", "paused", "reconnecting"] as const;
export const TERMINAL_STATES = ["finished", "failed", "aborted"] as const;

export type ActiveStateName = (typeof ACTIVE_STATES)[number];
export type TerminalStateName = (typeof TERMINAL_STATES)[number];
export type TaskStateName = "queued" | ActiveStateName | TerminalStateName;

interface Since {
  /** The time at which the task entered this state, Unix ms. */
  readonly sinceMs: number;
  /** The fencing number: counts how often the task was, or will next be, given to a worker. It begins at 1. */
  readonly attempt: number;
}

/** The worker that holds the task. */
export interface Holder {
  readonly region: string;
  readonly workerId: string;
}

export type QueuedState = Since & { readonly name: "queued" };
export type ActiveState = Since & { readonly name: ActiveStateName; readonly holder: Holder };
export type TerminalState =
  | (Since & { readonly name: "finished" })
  | (Since & { readonly name: "failed"; readonly error: ErrorBody })
  | (Since & { readonly name: "aborted"; readonly reason: string });
export type TaskState = QueuedState | ActiveState | TerminalState;

export type TaskEvent =
  | { readonly type: "placed"; readonly atMs: number; readonly holder: Holder }
  /** The worker did not take the task. */
  | { readonly type: "refused"; readonly atMs: number }
  /** The worker's report on the state of the push. */
  | { readonly type: "reported"; readonly atMs: number; readonly state: ActiveStateName }
  /** The worker is lost or gave the task back; another worker will continue it. */
  | { readonly type: "released"; readonly atMs: number }
  | { readonly type: "finished"; readonly atMs: number }
  | { readonly type: "failed"; readonly atMs: number; readonly error: ErrorBody }
  | { readonly type: "aborted"; readonly atMs: number; readonly reason: string };

/** The state of a task that has just been accepted. */
export function initialState(atMs: number): QueuedState {
  return { name: "queued", sinceMs: atMs, attempt: 1 };
}

export function isTerminal(state: TaskState): state is TerminalState {
  return TERMINAL_STATES.some((name) => name === state.name);
}

export function isActive(state: TaskState): state is ActiveState {
  return ACTIVE_STATES.some((name) => name === state.name);
}

/** The reports that may follow each state. A push that has begun does not return to `starting` within one attempt. */
const REPORTABLE: Record<ActiveStateName, readonly ActiveStateName[]> = {
  starting: ["starting", "pushing", "paused", "reconnecting"],
  pushing: ["pushing", "paused", "reconnecting"],
  paused: ["pushing", "paused", "reconnecting"],
  reconnecting: ["pushing", "paused", "reconnecting"],
};

/**
 * The only way from one task state to the next. Pure. Reporting the current state returns the same object, so that
 * `sinceMs` keeps the time at which the state began.
 *
 * @throws RoomcastError `InternalError` for a transition that must not happen; a terminal state never changes.
 */
export function transition(state: TaskState, event: TaskEvent): TaskState {
  const { attempt } = state;
  const sinceMs = event.atMs;
  if (!isTerminal(state)) {
    switch (event.type) {
      case "finished":
        if (isActive(state)) return { name: "finished", sinceMs, attempt };
        break;
      case "failed":
        return { name: "failed", sinceMs, attempt, error: event.error };
      case "aborted":
        return { name: "aborted", sinceMs, attempt, reason: event.reason };
      case "placed":
        if (state.name === "queued") return { name: "starting", sinceMs, attempt, holder: event.holder };
        break;
      case "refused":
        if (state.name === "starting") return { name: "queued", sinceMs, attempt: attempt + 1 };
        break;
      case "released":
        if (isActive(state)) return { name: "queued", sinceMs, attempt: attempt + 1 };
        break;
      case "reported":
        if (isActive(state) && REPORTABLE[state.name].includes(event.state)) {
          return state.name === event.state ? state : { name: event.state, sinceMs, attempt, holder: state.holder };
        }
        break;
    }
  }
  throw new RoomcastError("InternalError", `A task that is ${state.name} cannot be ${event.type}.`);
}

/** The states that users of the SCF asynchronous-event API see. */
export const SCF_STATUSES = ["RUNNING", "FINISHED", "FAILED", "ABORTED"] as const;
export type ScfStatus = (typeof SCF_STATUSES)[number];

export function scfStatus(name: TaskStateName): ScfStatus {
  switch (name) {
    case "finished":
      return "FINISHED";
    case "failed":
      return "FAILED";
    case "aborted":
      return "ABORTED";
    default:
      return "RUNNING";
  }
}
