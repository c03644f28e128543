import { z } from "zod";
import { ERROR_CODES, type ErrorCode } from "./errors.ts";
import type { ShownRequest } from "./redact.ts";
import { ACTIVE_STATES, SCF_STATUSES, TERMINAL_STATES } from "./task-state.ts";
import { logLineSchema, planSummarySchema } from "./wire.ts";

/** ISO 8601, UTC, milliseconds. */
const time = z.iso.datetime();

// SAFETY: the keys of a literal object are its codes.
const errorCode = z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]);

const status = z.enum(SCF_STATUSES);

const count = z.int().min(0);

/** What is likely to go wrong with a task though it was accepted. */
export const TASK_WARNING_CODES = ["IntegerRoom", "UserIdElsewhere"] as const;
export type TaskWarningCode = (typeof TASK_WARNING_CODES)[number];

/** What `GET /v1/tasks/:id` answers. */
export const taskViewSchema = z.object({
  taskId: z.uuid(),
  status,
  state: z.enum(["queued", ...ACTIVE_STATES, ...TERMINAL_STATES]),
  /** Since when it is in this state. */
  since: time,
  /** The n-th time that the task is, or will next be, given to a worker. */
  attempt: z.int().min(1),
  createdAt: time,
  /** When the room saw its first picture; null: not yet. */
  startedAt: time.nullable(),
  endedAt: time.nullable(),
  region: z.string(),
  /** The worker that holds it, or held it last; null: none did. */
  workerId: z.string().nullable(),
  /** The request without its secrets, as `shownRequest` gives it. */
  request: z.custom<ShownRequest>((value) => typeof value === "object" && value !== null, "a request"),
  progress: z
    .object({
      /** Which source of the playlist, from 0. */
      item: z.int().min(0),
      positionMs: z.number().min(0),
      /** null: live, or not known. */
      durationMs: z.number().min(0).nullable(),
      fps: z.number().min(0),
      bitRateKbps: z.number().min(0),
      droppedFrames: z.number().min(0),
      updatedAt: time,
    })
    .nullable(),
  /** How the source is played, and why; null: not known yet. */
  plan: planSummarySchema.nullable(),
  /** Of a failed task, the first cause. */
  error: z.object({ code: errorCode, message: z.string(), retryable: z.boolean() }).nullable(),
  /** Of an aborted task. */
  reason: z.string().nullable(),
  /** What the room's own events say, where TRTC sends them to the edge; null: none came. */
  room: z
    .object({
      /** Since when the room has the picture; null: it has none, as far as its events say. */
      confirmedAt: time.nullable(),
      /** Others in the room, as far as is known; counted up to 1000. */
      viewers: count,
    })
    .nullable(),
  /** What may go wrong though the task was accepted, and what to do about it; the oldest first. */
  warnings: z.array(z.object({ code: z.enum(TASK_WARNING_CODES), message: z.string(), at: time })),
});
export type TaskView = z.output<typeof taskViewSchema>;

const taskEntrySchema = z.object({
  taskId: z.uuid(),
  status,
  createdAt: time,
  endedAt: time.nullable(),
  SdkAppId: z.int(),
  /** An integer room as a number, a string room as a text. */
  room: z.union([z.int(), z.string()]),
  UserId: z.string(),
  region: z.string(),
});
/** What is known of a task without asking it. */
export type TaskEntry = z.output<typeof taskEntrySchema>;

const { state, attempt, workerId, progress, error, reason } = taskViewSchema.shape;

/** What `GET /v1/tasks` answers: one page. */
export const taskListSchema = z.object({
  /** How many tasks match, on all pages. */
  total: count,
  /** How many tasks of each status match all that was asked but for the status. */
  counts: z.object({ RUNNING: count, FINISHED: count, FAILED: count, ABORTED: count }),
  /** Each with what it says of itself now; see `taskViewSchema`. */
  tasks: z.array(taskEntrySchema.extend({ state, attempt, workerId, progress, error, reason })),
});
export type TaskList = z.output<typeof taskListSchema>;

/** What `GET /v1/tasks/:id/logs` answers: oldest first, the newest lines of a bounded ring. */
export const taskLogsSchema = z.object({
  taskId: z.uuid(),
  lines: z.array(
    z.object({ at: time, attempt: z.int().min(1), ...logLineSchema.pick({ level: true, message: true }).shape }),
  ),
});
export type TaskLogs = z.output<typeof taskLogsSchema>;

/** What `GET /v1/workers` answers. */
export const workerListSchema = z.object({
  /** What the workers' versions are compared with. */
  edge: z.object({ version: z.string(), protocol: z.int() }),
  workers: z.array(
    z.object({
      workerId: z.string(),
      region: z.string(),
      version: z.string(),
      /** Of its socket. */
      protocol: z.int(),
      /** It gets no new tasks: it is leaving, or was drained. */
      draining: z.boolean(),
      /** See `taskCost`. */
      capacityUnits: z.number(),
      loadUnits: z.number(),
      /** Held for tasks that the worker has not reported yet. */
      reservedUnits: z.number(),
      /** The share of its CPU that is busy, as it has measured, 0 to 1; null: it has not said so lately. */
      cpuLoad: z.number().min(0).max(1).nullable(),
      /** Its CPU is so busy that others with room get new tasks first. */
      busy: z.boolean(),
      tasks: z.int(),
      connectedAt: time,
      lastSeenAt: time,
    }),
  ),
  /** Those that went within the last hour without having said that they leave, and are not back. */
  lost: z.array(
    z.object({
      workerId: z.string(),
      region: z.string(),
      version: z.string(),
      lostAt: time,
      /** How many it had then. */
      tasks: count,
    }),
  ),
});
export type WorkerList = z.output<typeof workerListSchema>;

/** What `GET /v1/regions` answers: every region that ever had a worker. */
export const regionListSchema = z.object({
  regions: z.array(
    z.object({
      region: z.string(),
      /** Connected ones. */
      workers: count,
      /** How many of them get no new tasks. */
      draining: count,
      /** How many of the others have so busy a CPU that they get some only if no other has room. */
      busy: count,
      /** Of those that get new tasks. See `taskCost`. */
      capacityUnits: z.number(),
      loadUnits: z.number(),
      reservedUnits: z.number(),
      tasks: count,
      /** Tasks that found no room. */
      waiting: count,
    }),
  ),
});
export type RegionList = z.output<typeof regionListSchema>;
