import { z } from "zod";
import { ERROR_CODES, type ErrorCode, RoomcastError } from "./errors.ts";
import { printableLine } from "./printable.ts";
import { pushRequestSchema, taskUpdateSchema } from "./push-request.ts";
import { regionName } from "./region.ts";
import { ACTIVE_STATES } from "./task-state.ts";

/**
 * The version of the protocol between edge and worker. It is raised when a change would be misread by the other side.
 * 2: playlists and parameters of the stream itself, changes of a running push, takeover by another worker, and
 * confirming an attempt.
 * 3: the sound track and the rendition that are played, the handling of an item that cannot be played, and Redis over
 * TLS, with a user or in a numbered database.
 */
export const PROTOCOL_VERSION = 3;

/**
 * The oldest protocol version that an edge accepts from a worker, so that the edge is deployed first and workers
 * follow. Version 3 changed only what a request may hold, so workers of version 1 are still understood.
 */
export const OLDEST_PROTOCOL_VERSION = 1;

/** A longer frame closes the socket. Counted in UTF-16 code units. */
export const MAX_FRAME_LENGTH = 512 * 1024;

/** The limit of tasks in a worker's hello: more than a worker of 100 cores carries. */
export const MAX_RUNNING_TASKS = 2500;

const taskId = z.uuid();
const attempt = z.int().min(1);
const ms = z.number().min(0);
const count = z.number().min(0);
/** Index of the source in the playlist, from 0; absent means the first. */
const itemIndex = z.int().min(0).optional();

/**
 * Prose for people: a text that is too long is shortened, not refused. An `ended` is repeated until it is acknowledged,
 * and the length of its message must not close the socket again and again. The text may
 * quote a foreign server, so it is made printable.
 */
function prose(maxLength: number) {
  return z
    .string()
    .overwrite((text) => (text.length <= maxLength ? text : `${text.slice(0, maxLength - 1).toWellFormed()}…`))
    .overwrite(printableLine);
}

// SAFETY: the keys of a literal object are its codes.
const errorCode = z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]);
const errorBody = z.object({ code: errorCode, message: prose(2000), retryable: z.boolean() });

const taskRef = z.object({ taskId, attempt });
export type TaskRef = z.output<typeof taskRef>;

/** The plan: how a worker plays a source, and the reasons. */
export const planSummarySchema = z.object({
  video: z.enum(["copy", "transcode", "generate"]),
  audio: z.enum(["copy", "transcode", "generate"]),
  reasons: z.array(prose(300)).max(20),
});
export type PlanSummary = z.output<typeof planSummarySchema>;

/** Items of a playlist that were passed over because they could not be played (`OnItemError`). */
const skippedItems = z.object({
  /** Number of skipped items in this attempt. */
  count: z.int().min(1),
  /** Index of the last skipped item, from 0, with the reason. */
  item: z.int().min(0),
  error: errorBody,
});
export type SkippedItems = z.output<typeof skippedItems>;

const taskReport = z.object({
  taskId,
  attempt,
  state: z.enum(ACTIVE_STATES),
  item: itemIndex,
  /** Position in that source of what the room was sent last, ms. */
  positionMs: ms,
  /** Null if the source is live or the value is not known. */
  durationMs: ms.nullable(),
  bitRateKbps: count,
  fps: count,
  droppedFrames: count,
  plan: planSummarySchema.nullable(),
  /** Absent if no item was passed over. */
  skipped: skippedItems.optional(),
});
export type TaskReport = z.output<typeof taskReport>;

const load = z.object({
  /** The worker's current load, in the units of its capacity. */
  units: count,
  /**
   * The busy share of the worker's CPU, measured and smoothed over `SMOOTHING_MS`. Absent if the worker does not know
   * it.
   */
  cpu: z.number().min(0).max(1).optional(),
});

/** The largest time that a `Date` can hold. A later time could not be shown, nor could the log that contains it. */
const timeMs = ms.max(8.64e15);

export const logLineSchema = z.object({
  atMs: timeMs,
  level: z.enum(["debug", "info", "warn", "error"]),
  message: prose(2000),
});
export type LogLine = z.output<typeof logLineSchema>;

/**
 * The frames that a worker may send. Here and in `edgeFrameSchema`, unknown keys are dropped, so that a newer side may
 * add to a frame. The request in a `dispatch` is the exception. A worker that ignored a parameter would do something
 * else than the request asks for, so the edge must not send it to a worker whose protocol lacks the parameter.
 */
export const workerFrameSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("hello"),
    protocol: z.int(),
    workerId: z.string().min(1).max(64),
    /** A new UUID for each process. It distinguishes a restarted worker from one that lost its socket. */
    instanceId: z.uuid(),
    region: regionName,
    version: z.string().max(64),
    /** The worker's capacity in units; see `taskCost`. */
    capacityUnits: count,
    load,
    running: z.array(taskReport).max(MAX_RUNNING_TASKS),
    /** True if the worker takes no new tasks. */
    draining: z.boolean(),
  }),
  z.object({ type: z.literal("accepted"), taskId, attempt }),
  z.object({ type: z.literal("refused"), taskId, attempt, error: errorBody }),
  z.object({ type: z.literal("report"), load, tasks: z.array(taskReport).max(MAX_RUNNING_TASKS) }),
  z.object({
    type: z.literal("ended"),
    taskId,
    attempt,
    item: itemIndex,
    positionMs: ms,
    /** Absent if no item was passed over. */
    skipped: skippedItems.optional(),
    outcome: z.discriminatedUnion("name", [
      z.object({ name: z.literal("finished") }),
      z.object({ name: z.literal("failed"), error: errorBody }),
      z.object({ name: z.literal("aborted"), reason: prose(500) }),
      /** The task is given back unfinished: another worker continues it from `positionMs`. */
      z.object({ name: z.literal("released") }),
    ]),
  }),
  z.object({ type: z.literal("logs"), taskId, attempt, lines: z.array(logLineSchema).max(500) }),
  z.object({ type: z.literal("draining"), reason: prose(200) }),
  /** Answers an `update`: it was applied, or the reason why it was not. If it was not, the push continues unchanged. */
  z.object({ type: z.literal("updated"), taskId, attempt, updateId: z.uuid(), error: errorBody.nullable() }),
  /**
   * Asks if this attempt still holds the task, before the worker enters a room again. The edge answers `confirmed` or
   * `stop`.
   */
  z.object({ type: z.literal("confirm"), taskId, attempt }),
]);

export const edgeFrameSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("welcome"),
    protocol: z.int(),
    reportIntervalMs: z.int().min(50),
    /** The worker connects again when the edge was silent for this long. */
    heartbeatTimeoutMs: z.int().min(100),
    keep: z.array(taskRef),
    stop: z.array(taskRef),
  }),
  z.object({
    type: z.literal("dispatch"),
    taskId,
    attempt,
    request: pushRequestSchema,
    /** The position of an earlier attempt, ms. Null means: begin at the start, or at the position in Redis. */
    resumeAtMs: ms.nullable(),
    resumeItem: itemIndex,
    /**
     * The time at which the earlier attempt was at that position, or was to be there, Unix ms. Older edges do not send
     * it.
     */
    resumeSeenAtMs: ms.optional(),
    /** The earlier attempt was paused, and this one has to begin paused. */
    paused: z.boolean().optional(),
  }),
  z.object({ type: z.literal("stop"), taskId, attempt, how: z.enum(["now", "tidy"]), reason: prose(500) }),
  z.object({ type: z.literal("update"), taskId, attempt, updateId: z.uuid(), change: taskUpdateSchema }),
  /** The edge has stored `ended`; the worker may forget the task. */
  z.object({ type: z.literal("ack"), taskId, attempt }),
  /** This attempt still holds the task. */
  z.object({ type: z.literal("confirmed"), taskId, attempt }),
  /** Asks the worker to give the task back in good order, so that another worker continues it. */
  z.object({ type: z.literal("release"), taskId, attempt, reason: prose(200) }),
  /** Answers each `report`, so that a worker can distinguish a living edge from a half-open socket. */
  z.object({ type: z.literal("heartbeat") }),
]);

export type WorkerFrame = z.output<typeof workerFrameSchema>;
export type EdgeFrame = z.output<typeof edgeFrameSchema>;
export type WorkerFrameOf<Type extends WorkerFrame["type"]> = Extract<WorkerFrame, { type: Type }>;
export type EdgeFrameOf<Type extends EdgeFrame["type"]> = Extract<EdgeFrame, { type: Type }>;
export type Outcome = WorkerFrameOf<"ended">["outcome"];

/** Close codes of the worker socket (RFC 6455, section 7.4.2: 4000–4999 are for private use). */
export const CLOSE = {
  malformedFrame: 4400,
  unauthorized: 4401,
  replaced: 4409,
  /** Another process is connected under this worker's id. */
  idInUse: 4423,
  protocolMismatch: 4426,
  silent: 4408,
} as const;

/**
 * Reads one frame.
 *
 * @throws RoomcastError `InvalidParameter`; its message says what is wrong and is fit for a close reason.
 */
export function decodeFrame<Schema extends z.ZodType>(schema: Schema, data: unknown): z.output<Schema> {
  if (typeof data !== "string") throw new RoomcastError("InvalidParameter", "A frame must be text.");
  if (data.length > MAX_FRAME_LENGTH) throw new RoomcastError("InvalidParameter", "The frame is too long.");
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch (cause) {
    throw new RoomcastError("InvalidParameter", "The frame is not JSON.", { cause });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues[0]?.path.join(".") ?? "";
  throw new RoomcastError("InvalidParameter", `The frame is malformed at "${where}".`, { cause: parsed.error });
}

export function encodeFrame(frame: WorkerFrame | EdgeFrame): string {
  return JSON.stringify(frame);
}
