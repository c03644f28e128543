import { type ErrorBody, isTerminal, RoomcastError, scfStatus } from "@roomcast/shared";
import type { TaskRecord } from "./task-record.ts";

/** The error of a change if the worker that was asked is lost, or has given the task back. */
export const ATTEMPT_OVER = new RoomcastError(
  "FailedOperation.WorkerLost",
  "The worker was lost before it answered: the push continues elsewhere as it was. Try again.",
).toBody();

export const WORKER_AWAY = new RoomcastError(
  "FailedOperation.WorkerLost",
  "The worker that has this push is not connected now. Try again.",
).toBody();

export const WORKER_TOO_OLD = new RoomcastError(
  "UnsupportedOperation",
  "The worker that has this push is of an older version, which cannot make this change: drain it, so that a newer one continues the push.",
).toBody();

export const UPDATE_LATE = new RoomcastError(
  "FailedOperation.UpdateTimeout",
  "The worker has not answered in time: the change may still take effect. Look at the task, or try again.",
).toBody();

/** The limit of a push's changes that wait for an answer at the same time, and the error of a change above it. */
export const MAX_PENDING_UPDATES = {
  count: 16,
  error: new RoomcastError(
    "LimitExceeded",
    "Too many changes of this push are under way: wait until some are answered.",
  ).toBody(),
} as const;

/** Returns the error that says why a task cannot be changed now, or null if it can be changed. Pure. */
export function refusalOfUpdate({ state, stop }: TaskRecord): ErrorBody | null {
  if (isTerminal(state)) {
    const message = `The task has ended (${scfStatus(state.name)}): only a push that runs or waits can be changed.`;
    return new RoomcastError("ResourceUnavailable.TaskEnded", message).toBody();
  }
  if (stop === null) return null;
  return new RoomcastError("ResourceUnavailable.TaskEnded", "The task is being stopped.").toBody();
}
