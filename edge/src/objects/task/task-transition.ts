import {
  type ActiveState,
  isActive,
  isTerminal,
  type QueuedState,
  RoomcastError,
  type TaskReport,
  type TaskState,
} from "@roomcast/shared";
import type { AttemptRef, WorkerEvent } from "../../contracts/task-object.ts";
import { progressOf } from "../../model/progress.ts";
import { firstPlaceAtMs } from "../../model/task-times.ts";
import type { ControlEvent, RequestChanged } from "./control-event.ts";
import { aborted, failed, isKeptOut, moved, released, replacedBy, requeued } from "./move-task.ts";
import { endTakeover } from "./plan-takeover.ts";
import { afterRoomEvent } from "./room-sight.ts";
import { MAX_HOLDERS, type StopIntention, type TaskRecord, withProgress } from "./task-record.ts";

/** An action that the Task object performs after it has stored the record. */
export type Effect = StopWorker | EndReplaced | LogLineAdded;

/** Stops the tasks that this one replaces, because this task has their seat now. */
export interface EndReplaced {
  readonly type: "endReplaced";
  readonly taskIds: readonly string[];
}

export interface StopWorker {
  readonly type: "stopWorker";
  readonly attempt: number;
  readonly workerId: string;
  readonly how: StopIntention["how"];
  readonly reason: string;
}

/** Adds a line of the edge to the task's log. */
export interface LogLineAdded {
  readonly type: "logLineAdded";
  readonly attempt: number;
  readonly level: "info" | "warn";
  readonly message: string;
}

/**
 * The result of an event. `stale` means that the event changes nothing, because the task has ended or moved on since
 * the event was caused. This is normal between objects that do not wait for each other.
 */
export type Decision =
  | { readonly kind: "stale" }
  | { readonly kind: "changed"; readonly record: TaskRecord; readonly effects: readonly Effect[] };

const STALE: Decision = { kind: "stale" };

/** Returns true if this worker holds the task in this attempt. Pure. */
export function holds(state: TaskState, ref: AttemptRef): boolean {
  return isActive(state) && state.attempt === ref.attempt && state.holder.workerId === ref.workerId;
}

/** Returns true if this worker holds the task in this attempt, or held it. Pure. */
export function hasHeld({ holders }: Pick<TaskRecord, "holders">, ref: AttemptRef): boolean {
  return holders.some(({ attempt, workerId }) => attempt === ref.attempt && workerId === ref.workerId);
}

/**
 * Applies a worker's event to a record. An event of an older attempt, or one that comes after the task's end, is stale.
 * Pure.
 */
export function applyWorkerEvent(record: TaskRecord, ref: AttemptRef, event: WorkerEvent, atMs: number): Decision {
  if (!holds(record.state, ref)) return STALE;
  const heard: TaskRecord = { ...record, heardAtMs: atMs };
  switch (event.type) {
    case "accepted":
      return changed({ ...heard, accepted: true });
    case "reported":
      return tookOver(reported(heard, event.report, atMs));
    case "refused":
      return changed(
        event.error.retryable
          ? requeued(heard, { why: "refused", reason: event.error.message, atMs })
          : failed(heard, event.error, atMs),
      );
    case "released": {
      const known = withProgress(heard, { attempt: ref.attempt, progress: event.progress, plan: event.plan ?? null });
      return changed(released(known, event, atMs), [lossNoted(ref, event.reason)]);
    }
    default:
      return event.outcome.name === "finished"
        ? tookOver(ended(heard, event, atMs))
        : changed(ended(heard, event, atMs));
  }
}

/**
 * Applies an event that a user, the room, another object or a deadline caused. Pure.
 *
 * @throws RoomcastError `InternalError` for an event that cannot come in this state; it is a mistake of the caller.
 */
export function applyControlEvent(record: TaskRecord, event: ControlEvent, atMs: number): Decision {
  const { state } = record;
  if (event.type === "putOff") return changed(putOff(record, event.retryAtMs));
  if (isTerminal(state)) return applyToEnded(record, event);
  switch (event.type) {
    case "giveWay": {
      const giving = { ...record, successor: event.successor };
      return changed(isActive(state) ? giving : aborted(giving, replacedBy(event.successor), atMs));
    }
    case "seatReturned":
      return record.successor === event.successor ? changed({ ...record, successor: null }) : STALE;
    case "resealed":
      return record.sealedRequest === event.before ? changed({ ...record, sealedRequest: event.sealedRequest }) : STALE;
    case "requestChanged":
      return changed(withRequest(record, event));
    case "roomEvent":
      return roomEvent(record, event.event, atMs);
    case "stopAsked":
      return stopAsked(record, { how: event.how, reason: event.reason, atMs });
    case "broken":
      return changed(failed(record, event.error, atMs), stopHolder(record, "now"));
    default:
      return isActive(state)
        ? applyToActive({ ...record, state }, event, atMs)
        : applyToQueued({ ...record, state }, event, atMs);
  }
}

/**
 * Applies an event to a task that has ended. Only two events still change its record: a task is settled after its end,
 * and a task may end while it asks for its seat. All other events come too late.
 */
function applyToEnded(record: TaskRecord, event: ControlEvent): Decision {
  switch (event.type) {
    case "settled":
      return changed({ ...record, settled: true, retryAtMs: 0 });
    case "seatClaimDropped":
      return changed({ ...record, seat: event.seat, replaces: event.replaces });
    default:
      return STALE;
  }
}

function applyToQueued(record: TaskRecord & { state: QueuedState }, event: ControlEvent, atMs: number): Decision {
  const { state } = record;
  switch (event.type) {
    case "placed":
      return changed({
        ...moved(record, { type: "placed", atMs, holder: { region: record.region, workerId: event.workerId } }),
        placeAtMs: null,
        accepted: false,
        placedAtMs: atMs,
        heardAtMs: atMs,
        lastWorkerId: event.workerId,
        holders: [...record.holders, { attempt: state.attempt, workerId: event.workerId }].slice(-MAX_HOLDERS),
      });
    case "movedTo":
      return changed({ ...record, region: event.region });
    case "noRoom":
      return changed({ ...record, placeAtMs: event.retryAtMs });
    case "woken":
      // A push with a start time waits for that time even if a worker has free capacity.
      return changed({ ...record, placeAtMs: firstPlaceAtMs(record.request, atMs) });
    case "waitRestarted":
      return changed({ ...record, waitingSinceMs: event.sinceMs });
    case "queueTimeout":
      return changed(failed(record, noWorker(record, event).toBody(), atMs));
    case "seatAsked":
      return changed({ ...record, seat: "asked" });
    case "seatClaimed":
      return changed({ ...record, replaces: event.holders });
    // These events concern an attempt. The attempt may have been released while this object asked the region about it.
    case "acceptTimeout":
    case "executionTimeout":
    case "stillHeld":
    case "progressRead":
      return STALE;
    default:
      throw impossible(record, event);
  }
}

function applyToActive(record: TaskRecord & { state: ActiveState }, event: ControlEvent, atMs: number): Decision {
  switch (event.type) {
    case "acceptTimeout":
      if (record.accepted) return STALE;
      return changed(
        requeued(record, { why: "lost", reason: "The worker did not accept the task in time.", atMs }),
        stopHolder(record, "now"),
      );
    case "stillHeld":
      return record.state.attempt === event.attempt ? changed({ ...record, heardAtMs: atMs }) : STALE;
    case "progressRead":
      return record.state.attempt === event.attempt ? changed(withProgress(record, event)) : STALE;
    case "stopTimeout":
      return changed(aborted(record, record.stop?.reason ?? "stopped", atMs), stopHolder(record, "now"));
    case "executionTimeout":
      return changed(failed(record, tooLong(event).toBody(), atMs), stopHolder(record, "tidy"));
    // A wake-up may come when the task has just been placed.
    case "woken":
      return STALE;
    default:
      // All other events come from the deadlines of a queued or an ended task, and only one call at a time handles the
      // deadlines of a task.
      throw impossible(record, event);
  }
}

function impossible({ state }: TaskRecord, { type }: ControlEvent): RoomcastError {
  return new RoomcastError("InternalError", `A task that is ${state.name} cannot get the event ${type}.`);
}

function changed(record: TaskRecord, effects: readonly Effect[] = []): Decision {
  return { kind: "changed", record, effects };
}

function tookOver(reportedRecord: TaskRecord): Decision {
  const { record, replaced } = endTakeover(reportedRecord);
  return changed(record, replaced.length === 0 ? [] : [{ type: "endReplaced", taskIds: replaced }]);
}

/**
 * Puts off all deadlines of a task to this time. A due placement moves to this time itself, because it would otherwise
 * come before the other deadlines again and again.
 */
function putOff(record: TaskRecord, retryAtMs: number): TaskRecord {
  const placeAtMs = record.placeAtMs === null ? null : Math.max(record.placeAtMs, retryAtMs);
  return { ...record, placeAtMs, retryAtMs };
}

function withRequest(record: TaskRecord, { type: _type, progress = record.progress, ...change }: RequestChanged) {
  return { ...record, ...change, progress };
}

function lossNoted({ attempt, workerId }: AttemptRef, reason: string): LogLineAdded {
  const message = reason.includes(workerId) ? reason : `${reason} It was given to worker ${workerId}.`;
  return { type: "logLineAdded", attempt, level: "warn", message };
}

function roomEvent(record: TaskRecord, event: (ControlEvent & { type: "roomEvent" })["event"], atMs: number): Decision {
  const { state } = record;
  // If no worker has the task, the dismissal does not concern it: the room is created again when the task enters it.
  if (event.kind === "dismissed" && !isActive(state)) return STALE;
  const room = afterRoomEvent(record.room, event, atMs);
  const isSeen = room.confirmedAtMs !== null;
  const wasSeen = (record.room?.confirmedAtMs ?? null) !== null;
  if (isSeen === wasSeen) return changed({ ...record, room });
  const line = isSeen
    ? ({ level: "info", message: "The room has the picture, as TRTC says." } as const)
    : ({ level: "warn", message: "The room no longer has the picture, as TRTC says." } as const);
  return changed({ ...record, room }, [{ type: "logLineAdded", attempt: state.attempt, ...line }]);
}

function reported(record: TaskRecord, report: TaskReport, atMs: number): TaskRecord {
  // A late frame may still say `starting` although a newer frame has said more. The state then does not go back.
  const late = report.state === "starting" && record.state.name !== "starting";
  const next = late ? record : moved(record, { type: "reported", atMs, state: report.state });
  const pushing = next.state.name !== "starting";
  return {
    ...next,
    accepted: true,
    lostInARow: pushing ? 0 : next.lostInARow,
    lostStart: pushing ? null : (next.lostStart ?? null),
    startedAtMs: next.startedAtMs ?? (pushing ? atMs : null),
    progress: progressOf(report, atMs),
    plan: report.plan ?? next.plan,
    ...skippedIn(report),
  };
}

function skippedIn({ skipped, attempt }: Pick<TaskReport, "skipped" | "attempt">): Pick<TaskRecord, "skipped"> {
  return skipped === undefined ? {} : { skipped: { ...skipped, attempt } };
}

function ended(record: TaskRecord, event: WorkerEvent & { type: "ended" }, atMs: number): TaskRecord {
  const { outcome, item = record.progress?.item ?? 0, positionMs } = event;
  const at: TaskRecord = {
    ...record,
    progress: {
      durationMs: null,
      droppedFrames: 0,
      ...record.progress,
      item,
      positionMs,
      fps: 0,
      bitRateKbps: 0,
      updatedAtMs: atMs,
    },
    ...skippedIn({ skipped: event.skipped, attempt: record.state.attempt }),
  };
  switch (outcome.name) {
    case "finished":
      return moved(at, { type: "finished", atMs });
    case "failed":
      return isKeptOut(record, outcome.error)
        ? requeued(at, { why: "lost", reason: outcome.error.message, atMs })
        : failed(at, outcome.error, atMs);
    case "aborted":
      return aborted(at, at.stop?.reason ?? outcome.reason, atMs);
    default:
      return requeued(at, { why: "givenBack", reason: "The worker gave the task back.", atMs });
  }
}

function stopAsked(record: TaskRecord, stop: StopIntention): Decision {
  if (!isActive(record.state)) return changed(aborted(record, stop.reason, stop.atMs));
  // A repeated stop changes something only if it is harder than the one before, that is, `now` after `tidy`.
  if (record.stop !== null && (record.stop.how === "now" || stop.how === "tidy")) return changed(record);
  const next = { ...record, stop: record.stop === null ? stop : { ...record.stop, how: stop.how, atMs: stop.atMs } };
  return changed(next, stopHolder(next, stop.how));
}

function stopHolder(record: TaskRecord, how: StopIntention["how"]): StopWorker[] {
  const { state } = record;
  if (!isActive(state)) return [];
  const reason = record.stop?.reason ?? "the edge has taken the task back";
  return [{ type: "stopWorker", attempt: state.attempt, workerId: state.holder.workerId, how, reason }];
}

function tooLong({ limitMs }: ControlEvent & { type: "executionTimeout" }): RoomcastError {
  const limit = `${Math.round(limitMs / 1000)} s`;
  return new RoomcastError(
    "FailedOperation.ExecutionTimeout",
    `The push ran for ${limit}, the longest that it was allowed: ask for more with ExecutionTimeout.`,
  );
}

function noWorker(
  { region, lostStart: before }: TaskRecord,
  { workers, waitedMs }: ControlEvent & { type: "queueTimeout" },
): RoomcastError {
  const waited = `The task waited ${Math.round(waitedMs / 1000)} s.`;
  const remedy = "choose another Region, or try again later";
  const message =
    workers === 0
      ? `No worker is connected in region ${region}: start one there, ${remedy}. ${waited}`
      : `No room in region ${region}, where ${workers ?? "an unknown number of"} workers are connected: start another one there, ${remedy}. ${waited}`;
  return new RoomcastError("ResourceInsufficient", before == null ? message : `${before} Since then: ${message}`);
}
