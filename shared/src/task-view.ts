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

/** Warnings about an accepted task that is likely to have problems. */
export const TASK_WARNING_CODES = ["IntegerRoom", "UserIdElsewhere"] as const;
export type TaskWarningCode = (typeof TASK_WARNING_CODES)[number];

/** The answer of `GET /v1/tasks/:id`. */
export const taskViewSchema = z.object({
  taskId: z.uuid(),
  status,
  state: z.enum(["queued", ...ACTIVE_STATES, ...TERMINAL_STATES]),
  /** The time at which the task entered this state. */
  since: time,
  /** Counts how often the task was, or will next be, given to a worker. */
  attempt: z.int().min(1),
  createdAt: time,
  /** The time at which the room saw its first picture; null if it has not seen one yet. */
  startedAt: time.nullable(),
  endedAt: time.nullable(),
  region: z.string(),
  /** The worker that holds the task, or held it last; null if no worker has had it. */
  workerId: z.string().nullable(),
  /** The request without its secrets, as `shownRequest` gives it. */
  request: z.custom<ShownRequest>((value) => typeof value === "object" && value !== null, "a request"),
  progress: z
    .object({
      /** Index of the source in the playlist, from 0. */
      item: z.int().min(0),
      positionMs: z.number().min(0),
      /** Null if the source is live or the value is not known. */
      durationMs: z.number().min(0).nullable(),
      fps: z.number().min(0),
      bitRateKbps: z.number().min(0),
      droppedFrames: z.number().min(0),
      updatedAt: time,
    })
    .nullable(),
  /** The plan: how the source is played, and the reasons; null if it is not known yet. */
  plan: planSummarySchema.nullable(),
  /** The first cause of a failure, for a failed task. */
  error: z.object({ code: errorCode, message: z.string(), retryable: z.boolean() }).nullable(),
  /** The reason, for an aborted task. */
  reason: z.string().nullable(),
  /** The state of the room by its own events, if TRTC sends them to the edge; null if none has come. */
  room: z
    .object({
      /** The time at which the room got the picture; null if its events do not say that it has one. */
      confirmedAt: time.nullable(),
      /** Known number of others in the room, counted up to 1000. */
      viewers: count,
    })
    .nullable(),
  /** Warnings about an accepted task and what to do about them, oldest first. */
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
/** The part of a task's view that is known without asking its object. */
export type TaskEntry = z.output<typeof taskEntrySchema>;

const { state, attempt, workerId, progress, error, reason } = taskViewSchema.shape;

/** The answer of `GET /v1/tasks`: one page. */
export const taskListSchema = z.object({
  /** The number of matching tasks on all pages. */
  total: count,
  /** The number of tasks for each status that match the rest of the query. */
  counts: z.object({ RUNNING: count, FINISHED: count, FAILED: count, ABORTED: count }),
  /** The tasks, each with its current state; see `taskViewSchema`. */
  tasks: z.array(taskEntrySchema.extend({ state, attempt, workerId, progress, error, reason })),
});
export type TaskList = z.output<typeof taskListSchema>;

/** The answer of `GET /v1/tasks/:id/logs`: the newest lines of a bounded ring, oldest first. */
export const taskLogsSchema = z.object({
  taskId: z.uuid(),
  lines: z.array(
    z.object({ at: time, attempt: z.int().min(1), ...logLineSchema.pick({ level: true, message: true }).shape }),
  ),
});
export type TaskLogs = z.output<typeof taskLogsSchema>;

/** The answer of `GET /v1/workers`. */
export const workerListSchema = z.object({
  /** The edge's version, with which those of the workers are compared. */
  edge: z.object({ version: z.string(), protocol: z.int() }),
  workers: z.array(
    z.object({
      workerId: z.string(),
      region: z.string(),
      version: z.string(),
      /** The state of the worker's socket. */
      protocol: z.int(),
      /** True if the worker gets no new tasks, because it is leaving or was drained. */
      draining: z.boolean(),
      /** See `taskCost`. */
      capacityUnits: z.number(),
      loadUnits: z.number(),
      /** Units held for tasks that the worker has not reported yet. */
      reservedUnits: z.number(),
      /** The busy share of the worker's CPU as it measured it, 0 to 1; null if it has not reported one recently. */
      cpuLoad: z.number().min(0).max(1).nullable(),
      /** True if the CPU is so busy that other workers with room get new tasks first. */
      busy: z.boolean(),
      tasks: z.int(),
      connectedAt: time,
      lastSeenAt: time,
    }),
  ),
  /** The workers that were lost within the last hour without announcing that they leave, and that are not back. */
  lost: z.array(
    z.object({
      workerId: z.string(),
      region: z.string(),
      version: z.string(),
      lostAt: time,
      /** The number of tasks that it had then. */
      tasks: count,
    }),
  ),
});
export type WorkerList = z.output<typeof workerListSchema>;

/** The answer of `GET /v1/regions`: every region that ever had a worker. */
export const regionListSchema = z.object({
  regions: z.array(
    z.object({
      region: z.string(),
      /** The number of connected workers. */
      workers: count,
      /** The number of these that get no new tasks. */
      draining: count,
      /** The number of the others whose CPU is so busy that they get tasks only if no other worker has room. */
      busy: count,
      /** The sum over the workers that get new tasks. See `taskCost`. */
      capacityUnits: z.number(),
      loadUnits: z.number(),
      reservedUnits: z.number(),
      tasks: count,
      /** The number of tasks that found no worker with room. */
      waiting: count,
    }),
  ),
});
export type RegionList = z.output<typeof regionListSchema>;
