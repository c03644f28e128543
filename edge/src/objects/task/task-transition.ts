import {
  type ErrorBody,
  isActive,
  isTerminal,
  RoomcastError,
  shownText,
  type TaskEvent,
  type TaskReport,
  type TaskState,
  transition,
} from "@roomcast/shared";
import type { AttemptRef, WorkerEvent } from "../../contracts/task-object.ts";

import { progressOf } from "../../model/progress.ts";
import { firstPlaceAtMs } from "../../model/task-times.ts";
import { MAX_HOLDERS, type StopIntention, type TaskRecord } from "./task-record.ts";
import { MAX_WORKERS_LOST, quarantine, spreadMs, workersLost } from "./worker-loss.ts";

/** Attempts that may be lost, or refused, one after another before the task fails. */
export const MAX_LOST_IN_A_ROW = 5;

/** Doubled with each refusal in a row. */
const REFUSED_DELAY_MS = 100;

export type ControlEvent =
  | { readonly type: "placed"; readonly workerId: string }
  | { readonly type: "noRoom"; readonly retryAtMs: number }
  | { readonly type: "woken" }
  /** A newer task takes the seat. */
  | { readonly type: "giveWay"; readonly successor: string }
  /** The newer task has come to nothing. */
  | { readonly type: "stay"; readonly successor: string }
  | { readonly type: "stopAsked"; readonly how: StopIntention["how"]; readonly reason: string }
  | { readonly type: "acceptTimeout" }
  | { readonly type: "queueTimeout"; readonly workers: number | null; readonly waitedMs: number }
  /** It waits for longer than it may, but as if only since then. */
  | { readonly type: "waitsOn"; readonly sinceMs: number }
  | { readonly type: "stopTimeout" }
  | { readonly type: "executionTimeout"; readonly limitMs: number }
  /** The edge itself cannot go on with it. */
  | { readonly type: "broken"; readonly error: ErrorBody };

/** What the shell has to do once the record is written. */
export type Effect = StopWorker | EndReplaced;

/** The seat is this task's: those whom it replaces have nothing more to do. */
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

export type Decision =
  | { readonly kind: "stale" }
  | { readonly kind: "changed"; readonly record: TaskRecord; readonly effects: readonly Effect[] };

/** Whether a worker holds the task in this attempt. */
export function holds(state: TaskState, ref: AttemptRef): boolean {
  return isActive(state) && state.attempt === ref.attempt && state.holder.workerId === ref.workerId;
}

/** Whether a worker holds the task in this attempt, or did. Pure. */
export function hasHeld({ holders }: Pick<TaskRecord, "holders">, ref: AttemptRef): boolean {
  return holders.some(({ attempt, workerId }) => attempt === ref.attempt && workerId === ref.workerId);
}

/** What a worker's word changes. What carries an old attempt, or comes after the end, is stale. Pure. */
export function applyWorkerEvent(record: TaskRecord, ref: AttemptRef, event: WorkerEvent, atMs: number): Decision {
  if (!holds(record.state, ref)) return { kind: "stale" };
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
    case "released":
      return changed(released({ ...heard, progress: event.progress ?? heard.progress }, event, atMs));
    default:
      return event.outcome.name === "finished"
        ? tookOver(ended(heard, event, atMs))
        : changed(ended(heard, event, atMs));
  }
}

/** What a user, the region or a deadline changes. Pure. */
export function applyControlEvent(record: TaskRecord, event: ControlEvent, atMs: number): Decision {
  const { state } = record;
  if (isTerminal(state)) return { kind: "stale" };
  switch (event.type) {
    case "placed":
      if (state.name !== "queued") return { kind: "stale" };
      return changed({
        ...moved(record, { type: "placed", atMs, holder: { region: record.region, workerId: event.workerId } }),
        placeAtMs: null,
        accepted: false,
        placedAtMs: atMs,
        heardAtMs: atMs,
        lastWorkerId: event.workerId,
        holders: [...record.holders, { attempt: state.attempt, workerId: event.workerId }].slice(-MAX_HOLDERS),
      });
    case "noRoom":
      return state.name === "queued" ? changed({ ...record, placeAtMs: event.retryAtMs }) : { kind: "stale" };
    case "woken":
      // A push with a time to start at waits for that time, whatever room there is.
      return state.name === "queued"
        ? changed({ ...record, placeAtMs: firstPlaceAtMs(record.request, atMs) })
        : { kind: "stale" };
    case "giveWay": {
      const giving = { ...record, successor: event.successor };
      return changed(isActive(state) ? giving : aborted(giving, replacedBy(event.successor), atMs));
    }
    case "stay":
      return record.successor === event.successor ? changed({ ...record, successor: null }) : { kind: "stale" };
    case "stopAsked":
      return stopAsked(record, { how: event.how, reason: event.reason, atMs });
    case "stopTimeout":
      if (!isActive(state)) return { kind: "stale" };
      return changed(aborted(record, record.stop?.reason ?? "stopped", atMs), stopHolder(record, "now"));
    case "acceptTimeout":
      if (!isActive(state) || record.accepted) return { kind: "stale" };
      return changed(
        requeued(record, { why: "lost", reason: "The worker did not accept the task in time.", atMs }),
        stopHolder(record, "now"),
      );
    case "waitsOn":
      return state.name === "queued" ? changed({ ...record, waitingSinceMs: event.sinceMs }) : { kind: "stale" };
    case "queueTimeout":
      if (state.name !== "queued") return { kind: "stale" };
      return changed(failed(record, noWorker(record, event).toBody(), atMs));
    case "broken":
      return changed(failed(record, event.error, atMs), stopHolder(record, "now"));
    default: {
      if (!isActive(state)) return { kind: "stale" };
      const limit = `${Math.round(event.limitMs / 1000)} s`;
      const error = new RoomcastError(
        "FailedOperation.ExecutionTimeout",
        `The push ran for ${limit}, the longest that it was allowed: ask for more with ExecutionTimeout.`,
      );
      return changed(failed(record, error.toBody(), atMs), stopHolder(record, "tidy"));
    }
  }
}

function changed(record: TaskRecord, effects: readonly Effect[] = []): Decision {
  return { kind: "changed", record, effects };
}

/** A task that the room sees, or has seen, holds its seat alone, and its user where it replaces that in other rooms. */
function tookOver({ elsewhere = [], ...record }: TaskRecord): Decision {
  const taskIds = [...record.replaces, ...elsewhere];
  if (taskIds.length === 0) return changed(record);
  if (record.state.name === "starting") return changed(elsewhere.length === 0 ? record : { ...record, elsewhere });
  return changed({ ...record, replaces: [] }, [{ type: "endReplaced", taskIds }]);
}

export function replacedBy(successor: string): string {
  return `replaced by ${successor}`;
}

function moved(record: TaskRecord, event: TaskEvent): TaskRecord {
  const state = transition(record.state, event);
  if (!isTerminal(state)) return { ...record, state };
  // The secrets have served their purpose.
  return { ...record, state, sealedRequest: null, placeAtMs: null };
}

function failed(record: TaskRecord, error: ErrorBody, atMs: number): TaskRecord {
  // What goes wrong while a task is being stopped is part of its being stopped.
  if (record.stop !== null) return aborted(record, record.stop.reason, atMs);
  if (record.successor !== null && error.code === "FailedOperation.RoomReplaced") {
    return aborted(record, replacedBy(record.successor), atMs);
  }
  return moved(record, { type: "failed", atMs, error: { ...error, message: shownText(error.message) } });
}

function aborted(record: TaskRecord, reason: string, atMs: number): TaskRecord {
  return moved(record, { type: "aborted", atMs, reason: shownText(reason) });
}

interface Requeue {
  readonly why: "lost" | "refused" | "givenBack";
  readonly reason: string;
  readonly atMs: number;
}

/** Back into the queue with the next attempt, unless it was to end anyway or was lost too often. */
function requeued(record: TaskRecord, { why, reason, atMs }: Requeue): TaskRecord {
  if (record.stop !== null) return aborted(record, record.stop.reason, atMs);
  // Two attempts would fight for one seat.
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
    // Who refuses is short of something that comes back; who is lost is not asked again.
    placeAtMs: why === "refused" ? atMs + REFUSED_DELAY_MS * 2 ** lostInARow : atMs,
    // A push that ran waits anew; one that is only refused again and again does not wait for ever.
    waitingSinceMs: record.state.name === "starting" ? record.waitingSinceMs : atMs,
    avoidWorkerId: record.lastWorkerId,
  };
}

/** The worker is lost; where that happens again and again under one task, the task is what ends the workers. */
function released(record: TaskRecord, event: WorkerEvent & { type: "released" }, atMs: number): TaskRecord {
  const { reason, dispatched = true } = event;
  if (!dispatched) return requeued(record, { why: "lost", reason, atMs });
  const lost = workersLost(record, atMs);
  const counted = { ...record, workersLost: lost };
  const isEnding = record.stop !== null || record.successor !== null;
  if (lost >= MAX_WORKERS_LOST && !isEnding) return failed(counted, quarantine(lost, reason).toBody(), atMs);
  const next = requeued(counted, { why: "lost", reason, atMs });
  return next.placeAtMs === null ? next : { ...next, placeAtMs: next.placeAtMs + spreadMs(record, lost) };
}

function reported(record: TaskRecord, report: TaskReport, atMs: number): TaskRecord {
  // A frame that was overtaken by a newer one may say `starting` again; the state keeps what is known.
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

const ROOM_AWAY: ReadonlySet<ErrorBody["code"]> = new Set([
  "FailedOperation.RoomUnreachable",
  "FailedOperation.RoomLost",
]);

/** An earlier attempt was in the room: what keeps this worker out of it need not keep out another one. */
function isKeptOut({ startedAtMs, state }: TaskRecord, { code }: ErrorBody): boolean {
  return startedAtMs !== null && state.name === "starting" && ROOM_AWAY.has(code);
}

function stopAsked(record: TaskRecord, stop: StopIntention): Decision {
  if (!isActive(record.state)) return changed(aborted(record, stop.reason, stop.atMs));
  // Asked again, only a harder stop changes anything.
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

function lostStart({ lastWorkerId }: TaskRecord, reason: string): string {
  return `The push was starting on worker ${lastWorkerId ?? "(unknown)"} and was lost there: ${reason}`;
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
