import {
  type ErrorBody,
  isActive,
  isTerminal,
  RoomcastError,
  shownText,
  type TaskEvent,
  transition,
} from "@roomcast/shared";
import type { WorkerEvent } from "../../contracts/task-object.ts";
import type { TaskRecord } from "./task-record.ts";
import { MAX_WORKERS_LOST, quarantine, spreadMs, workersLost } from "./worker-loss.ts";

/** The number of attempts lost or refused in a row at which the task fails. */
export const MAX_LOST_IN_A_ROW = 5;

/** The unit of the delay after a refusal. The delay doubles with each attempt that is lost or refused in a row. */
const REFUSED_DELAY_MS = 100;

/** Returns the reason of a task that ended because a newer task took its seat. */
export function replacedBy(successor: string): string {
  return `replaced by ${successor}`;
}

/** Returns the record in its next state. The record of an ended task holds no secrets. Pure. */
export function moved(record: TaskRecord, event: TaskEvent): TaskRecord {
  const state = transition(record.state, event);
  if (!isTerminal(state)) return { ...record, state };
  return { ...record, state, sealedRequest: null, placeAtMs: null };
}

/** Returns the failed task. If the task was about to end for another reason, it is aborted instead. Pure. */
export function failed(record: TaskRecord, error: ErrorBody, atMs: number): TaskRecord {
  // An error that comes while a task is being stopped counts as part of the stop.
  if (record.stop !== null) return aborted(record, record.stop.reason, atMs);
  if (record.successor !== null && error.code === "FailedOperation.RoomReplaced") {
    return aborted(record, replacedBy(record.successor), atMs);
  }
  return moved(record, { type: "failed", atMs, error: { ...error, message: shownText(error.message) } });
}

/** Returns the aborted task. Pure. */
export function aborted(record: TaskRecord, reason: string, atMs: number): TaskRecord {
  return moved(record, { type: "aborted", atMs, reason: shownText(reason) });
}

interface Requeue {
  readonly why: "lost" | "refused" | "givenBack";
  readonly reason: string;
  readonly atMs: number;
}

/**
 * Returns the task in the queue, with its next attempt. If the task was about to end, or if too many attempts were lost
 * or refused in a row, it ends instead. Pure.
 */
export function requeued(record: TaskRecord, { why, reason, atMs }: Requeue): TaskRecord {
  if (record.stop !== null) return aborted(record, record.stop.reason, atMs);
  // If a successor is taking the seat, a next attempt of this task would compete with it for the seat.
  if (record.successor !== null) return aborted(record, replacedBy(record.successor), atMs);
  const lostInARow = record.lostInARow + (why === "givenBack" ? 0 : 1);
  if (lostInARow >= MAX_LOST_IN_A_ROW) {
    const message = `${lostInARow} attempts in a row came to nothing. The last one: ${reason}`;
    return failed(record, new RoomcastError("FailedOperation.WorkerLost", message).toBody(), atMs);
  }
  return {
    ...moved(record, { type: "released", atMs }),
    lostInARow,
    lostStart:
      why === "lost" && record.state.name === "starting" ? lostStart(record, reason) : (record.lostStart ?? null),
    accepted: false,
    // A refusal is temporary, because the worker only lacks free capacity, so the task waits before it looks again.
    // After a loss, it looks for another worker at once.
    placeAtMs: why === "refused" ? atMs + REFUSED_DELAY_MS * 2 ** lostInARow : atMs,
    // The queue time-out starts again only if the attempt has pushed. Otherwise refusals in a row would add up to an
    // endless wait.
    waitingSinceMs: record.state.name === "starting" ? record.waitingSinceMs : atMs,
    avoidWorkerId: record.lastWorkerId,
  };
}

/**
 * Returns the task after the loss of its worker. A task fails if too many workers are lost in quick succession while
 * they have it. Pure.
 */
export function released(record: TaskRecord, event: WorkerEvent & { type: "released" }, atMs: number): TaskRecord {
  const { reason, dispatched = true } = event;
  if (!dispatched) return requeued(record, { why: "lost", reason, atMs });
  const lost = workersLost(record, atMs);
  const counted = { ...record, workersLost: lost };
  const isEnding = record.stop !== null || record.successor !== null;
  if (lost >= MAX_WORKERS_LOST && !isEnding) return failed(counted, quarantine(lost, reason).toBody(), atMs);
  const next = requeued(counted, { why: "lost", reason, atMs });
  return next.placeAtMs === null ? next : { ...next, placeAtMs: next.placeAtMs + spreadMs(record, lost) };
}

const ROOM_AWAY: ReadonlySet<ErrorBody["code"]> = new Set([
  "FailedOperation.RoomUnreachable",
  "FailedOperation.RoomLost",
]);

/**
 * Returns true if this worker cannot reach the room although a worker of this task has reached it before. Another
 * worker may then reach the room too. Pure.
 */
export function isKeptOut({ startedAtMs, state }: TaskRecord, { code }: ErrorBody): boolean {
  return startedAtMs !== null && isActive(state) && state.name === "starting" && ROOM_AWAY.has(code);
}

function lostStart({ lastWorkerId }: TaskRecord, reason: string): string {
  return `The push was starting on worker ${lastWorkerId ?? "(unknown)"} and was lost there: ${reason}`;
}
