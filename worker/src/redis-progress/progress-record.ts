import { createHash } from "node:crypto";
import {
  ACTIVE_STATES,
  type PushRequest,
  seatKey,
  seatOf,
  type TaskStateName,
  TERMINAL_STATES,
} from "@roomcast/shared";

/** The recorded progress of a push. */
export interface ProgressValues {
  /** Index of the item of a playlist. */
  readonly item: number;
  readonly positionMs: number;
  /** Null if the source is live or its duration is unknown. */
  readonly durationMs: number | null;
  readonly state: TaskStateName;
}

/** The record of an earlier push of the same source. */
export interface ProgressRecord extends ProgressValues {
  readonly taskId: string;
  readonly attempt: number;
  readonly updatedAtMs: number;
}

/** The pushes that share a record: all pushes of one source, or only those of one source in one seat. */
export type ProgressScope = "source" | "room";

/** The time without a write after which a record expires, ms. */
export const PROGRESS_TTL_MS = 7 * 24 * 3600 * 1000;

const STATES: readonly string[] = ["queued", ...ACTIVE_STATES, ...TERMINAL_STATES];

/** Returns a single source unchanged and a playlist as JSON, so that a playlist in another order has another record. */
function sourceText({ VideoSrc }: Pick<PushRequest, "VideoSrc">): string {
  return typeof VideoSrc === "string" ? VideoSrc : JSON.stringify(VideoSrc);
}

/** Returns the Redis key of a request's record. */
export function progressKey(request: PushRequest, scope: ProgressScope = "source"): string {
  const key = `roomcast:progress:${createHash("sha256").update(sourceText(request)).digest("hex")}`;
  return scope === "source" ? key : `${key}:${seatKey(seatOf(request))}`;
}

export interface RecordOwner {
  readonly request: PushRequest;
  readonly taskId: string;
  readonly attempt: number;
}

/**
 * Returns the names and values of the hash's fields, alternating. VideoSrc is not redacted, because the record is in
 * the user's own Redis.
 */
export function recordFields(owner: RecordOwner, values: ProgressValues, nowMs: number): string[] {
  const { request, taskId, attempt } = owner;
  // A recorded file that was played to its end starts from the beginning next time.
  const positionMs = values.state === "finished" ? 0 : values.positionMs;
  return Object.entries({
    VideoSrc: sourceText(request),
    SdkAppId: request.SdkAppId,
    Room: seatOf(request).room.id,
    UserId: request.UserId,
    Mode: request.Mode,
    Item: values.state === "finished" ? 0 : values.item,
    PositionMs: Math.round(positionMs),
    DurationMs: values.durationMs === null ? "" : Math.round(values.durationMs),
    State: values.state,
    TaskId: taskId,
    Attempt: attempt,
    UpdatedAt: nowMs,
  }).flatMap(([name, value]) => [name, String(value)]);
}

/** Parses a hash. Returns null if the hash is empty or is not a valid record. */
export function readRecord(hash: Readonly<Record<string, string>>): ProgressRecord | null {
  const positionMs = wholeNumber(hash.PositionMs);
  const attempt = wholeNumber(hash.Attempt);
  const updatedAtMs = wholeNumber(hash.UpdatedAt);
  const { TaskId: taskId, State: state } = hash;
  if (positionMs === null || attempt === null || updatedAtMs === null) return null;
  if (taskId === undefined || state === undefined || !isState(state)) return null;
  return {
    item: wholeNumber(hash.Item) ?? 0,
    positionMs,
    durationMs: wholeNumber(hash.DurationMs),
    state,
    taskId,
    attempt,
    updatedAtMs,
  };
}

function isState(text: string): text is TaskStateName {
  return STATES.includes(text);
}

function wholeNumber(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;
}
