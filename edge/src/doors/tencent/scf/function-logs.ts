import type { ScfStatus, TaskLogs, TaskView } from "@roomcast/shared";
import { z } from "zod";
import { readConfig } from "../../../base/config.ts";
import type { ListedTask } from "../../../model/task-filter.ts";
import { listTasks } from "../../../operations/list-tasks.ts";
import { findVisibleTask } from "../../../operations/visible-task.ts";
import { type ActionContext, tencentAction } from "../call/tencent-action.ts";
import { boundedInteger, optionalFunctionNames } from "./scf-parameters.ts";
import { scfTime, scfTimeMs, scfTimeText } from "./scf-time.ts";

const RET_CODES = {
  is0: ["FINISHED"],
  not0: ["FAILED", "ABORTED"],
} as const satisfies Record<string, readonly ScfStatus[]>;
const RET_CODE_EXPECTED = '"is0" (FINISHED) or "not0" (FAILED and ABORTED); other filters do not exist here';

const ORDER_FIELDS = ["start_time", "duration", "function_name", "mem_usage"] as const;

const logsSchema = z.strictObject({
  ...optionalFunctionNames,
  Offset: boundedInteger(0, 10_000).default(0),
  Limit: boundedInteger(1, 100).default(20),
  Order: z.enum(["asc", "desc"], '"asc" or "desc"').default("desc"),
  OrderBy: z.enum(ORDER_FIELDS, ORDER_FIELDS.join(", ")).default("start_time"),
  Filter: z
    .strictObject({ RetCode: z.enum(["is0", "not0", ""], RET_CODE_EXPECTED).optional() }, "an object with RetCode")
    .optional(),
  FunctionRequestId: z.string("a text").optional(),
  StartTime: scfTimeText.optional(),
  EndTime: scfTimeText.optional(),
  /** A parameter that Tencent has retired. It is accepted for old clients and has no effect. */
  SearchContext: z.unknown().optional(),
});

/**
 * The largest number of characters of messages in one answer, because a hundred whole logs would not fit into an isolate's
 * memory.
 */
const MAX_LOG_CHARACTERS = 4_000_000;

/** Returns one entry for each push, with its log lines in one string. */
export const getFunctionLogs = tencentAction(logsSchema, async (context, query) => {
  const { env, caller } = context;
  const offsetMinutes = readConfig(env).scfUtcOffsetMinutes;
  const { StartTime, EndTime } = query;
  const isOfAllTimes = StartTime === undefined && EndTime === undefined;
  const { total, tasks } = await listTasks(env, caller, {
    sdkAppId: null,
    taskId: query.FunctionRequestId?.toLowerCase() || null,
    statuses: query.Filter?.RetCode ? RET_CODES[query.Filter.RetCode] : null,
    created: isOfAllTimes
      ? null
      : {
          fromMs: StartTime === undefined ? 0 : scfTimeMs(StartTime, offsetMinutes),
          beforeMs: EndTime === undefined ? Number.MAX_SAFE_INTEGER : scfTimeMs(EndTime, offsetMinutes),
        },
    ended: null,
    // All entries have the same function name and the same memory use, so these fields do not order them.
    orderBy: query.OrderBy === "duration" ? "duration" : "created",
    order: query.Order,
    offset: query.Offset,
    limit: query.Limit,
  });
  const maxCharacters = Math.floor(MAX_LOG_CHARACTERS / Math.max(1, tasks.length));
  const functionName = query.FunctionName ?? "";
  const entries = await Promise.all(tasks.map((task) => entryOf(context, task, { functionName, maxCharacters })));
  return { TotalCount: total, Data: entries.filter((entry) => entry !== null) };
});

/** Returns the entry of a listed task, or null if the task was deleted after it was listed. */
async function entryOf(
  { env, caller }: ActionContext,
  { taskId, createdAt }: ListedTask,
  { functionName, maxCharacters }: { readonly functionName: string; readonly maxCharacters: number },
): Promise<object | null> {
  const task = await findVisibleTask(env, caller, taskId);
  const logs = task === null ? null : await env.TASK.getByName(taskId).logs(maxCharacters);
  if (task === null || logs === null) return null;
  const offsetMinutes = readConfig(env).scfUtcOffsetMinutes;
  return logEntry(task, logs, { functionName, offsetMinutes, startedMs: Date.parse(createdAt), nowMs: Date.now() });
}

interface EntryOptions {
  readonly functionName: string;
  readonly offsetMinutes: number;
  /** The time at which the task was created, Unix ms. */
  readonly startedMs: number;
  readonly nowMs: number;
}

/** SCF's `RetCode` for each status: 0 means success, 2 running, 3 interrupted, and any other number failure. */
const RET_CODE: Record<ScfStatus, number> = { FINISHED: 0, RUNNING: 2, ABORTED: 3, FAILED: 1 };

/** Returns a push's log in the form in which SCF shows the run of a function. Pure. */
function logEntry(task: TaskView, { lines, cut }: TaskLogs & { readonly cut?: true }, options: EntryOptions): object {
  const { startedMs } = options;
  const durationMs = (task.endedAt === null ? options.nowMs : Date.parse(task.endedAt)) - startedMs;
  return {
    FunctionName: options.functionName,
    RetMsg: task.error?.message ?? task.reason ?? "",
    RequestId: task.taskId,
    StartTime: scfTime(startedMs, options.offsetMinutes),
    RetCode: RET_CODE[task.status],
    InvokeFinished: task.endedAt === null ? 0 : 1,
    Duration: durationMs,
    BillDuration: 0,
    MemUsage: 0,
    Log: [
      ...(cut === true ? [`The lines before these are in GET /v1/tasks/${task.taskId}/logs.`] : []),
      ...lines.map(({ at, level, message }) => `${at} ${level} ${message}`),
    ].join("\n"),
    Level: "",
    Source: "",
    RetryNum: task.attempt - 1,
  };
}
