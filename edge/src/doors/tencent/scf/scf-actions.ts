import { RoomcastError, SCF_STATUSES, type TaskView } from "@roomcast/shared";
import { z } from "zod";
import { requireRole } from "../../../auth/caller.ts";
import { readConfig } from "../../../base/config.ts";
import type { Interval, ListedTask } from "../../../model/task-filter.ts";
import { createPush } from "../../../operations/create-push.ts";
import { listTasks } from "../../../operations/list-tasks.ts";
import { taskNotFound, visibleTask } from "../../../operations/visible-task.ts";
import { replayKey, shownWarnings, type TencentAction, tencentAction } from "../call/tencent-action.ts";
import { getFunctionLogs } from "./function-logs.ts";
import { boundedInteger, functionNames, LATEST, requestIdText } from "./scf-parameters.ts";
import { scfStatusCode } from "./scf-status-code.ts";
import { scfTime, scfTimeMs, scfTimeText } from "./scf-time.ts";

/** The only invocation type, because a push is asynchronous. */
const INVOKE_TYPE = "Event";

const invokeSchema = z.strictObject({
  ...functionNames,
  InvocationType: z.enum(["Event", "RequestResponse"], '"Event"').default("RequestResponse"),
  ClientContext: z.string("the push request as JSON text"),
  LogType: z.string("a text").optional(),
  RoutingKey: z.string("a text").optional(),
});

const invoke = tencentAction(invokeSchema, async (context, { InvocationType, ClientContext }) => {
  const { env, caller, region } = context;
  if (InvocationType !== "Event") {
    throw new RoomcastError(
      "UnsupportedOperation",
      'A push runs asynchronously: expected InvocationType "Event" (without it SCF takes "RequestResponse").',
    );
  }
  const { taskId, warnings } = await createPush(env, {
    input: parseContext(ClientContext),
    caller,
    idempotencyKey: replayKey(context),
    regionHeader: region,
  });
  return {
    Result: {
      Log: "",
      RetMsg: "",
      ErrMsg: "",
      MemUsage: 0,
      Duration: 0,
      BillDuration: 0,
      FunctionRequestId: taskId,
      InvokeResult: 0,
    },
    ...shownWarnings(warnings),
  };
});

function parseContext(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const expected = "the push request as JSON text";
    throw new RoomcastError("InvalidParameterValue", `ClientContext is invalid: expected ${expected}.`, {
      cause,
      fields: [{ field: "ClientContext", problem: "invalid", expected }],
    });
  }
}

const terminateSchema = z.strictObject({
  ...functionNames,
  InvokeRequestId: requestIdText,
  GraceShutdown: z.boolean("true or false").default(false),
});

const terminateAsyncEvent = tencentAction(
  terminateSchema,
  async ({ env, caller }, { InvokeRequestId, GraceShutdown }) => {
    requireRole(caller, "operator");
    const { taskId } = await visibleTask(env, caller, InvokeRequestId);
    const how = GraceShutdown ? "tidy" : "now";
    if ((await env.TASK.getByName(taskId).stop(how, "stopped by the user")) === null) taskNotFound();
    return {};
  },
);

const statusSchema = z.strictObject({ InvokeRequestId: requestIdText });

const getAsyncEventStatus = tencentAction(statusSchema, async ({ env, caller }, { InvokeRequestId }) => {
  const task: TaskView = await visibleTask(env, caller, InvokeRequestId);
  return { Result: { Status: task.status, StatusCode: scfStatusCode(task), InvokeRequestId: task.taskId } };
});

const timeInterval = z.strictObject({ Start: scfTimeText, End: scfTimeText }, "an object with Start and End");

const listSchema = z.strictObject({
  ...functionNames,
  InvokeType: z.array(z.string("a text"), "a list of texts").optional(),
  Status: z.array(z.enum(SCF_STATUSES, SCF_STATUSES.join(", ")), `a list of ${SCF_STATUSES.join(", ")}`).optional(),
  StartTimeInterval: timeInterval.optional(),
  EndTimeInterval: timeInterval.optional(),
  Order: z.enum(["ASC", "DESC"], '"ASC" or "DESC"').default("DESC"),
  Orderby: z.enum(["StartTime", "EndTime"], '"StartTime" or "EndTime"').default("StartTime"),
  Offset: boundedInteger(0, 10_000).default(0),
  Limit: boundedInteger(1, 100).default(20),
  InvokeRequestId: z.string("a text").optional(),
});

const listAsyncEvents = tencentAction(listSchema, async ({ env, caller }, query) => {
  const { scfUtcOffsetMinutes } = readConfig(env);
  const interval = (given: z.output<typeof timeInterval> | undefined): Interval | null =>
    given === undefined
      ? null
      : { fromMs: scfTimeMs(given.Start, scfUtcOffsetMinutes), beforeMs: scfTimeMs(given.End, scfUtcOffsetMinutes) };
  const otherType = query.InvokeType?.length && !query.InvokeType.includes(INVOKE_TYPE);
  const { total, tasks } = await listTasks(env, caller, {
    sdkAppId: null,
    // SDKs send an empty list or string for a filter that is not set.
    taskId: query.InvokeRequestId?.toLowerCase() || null,
    statuses: otherType ? [] : query.Status?.length ? query.Status : null,
    created: interval(query.StartTimeInterval),
    ended: interval(query.EndTimeInterval),
    orderBy: query.Orderby === "EndTime" ? "ended" : "created",
    order: query.Order === "ASC" ? "asc" : "desc",
    offset: query.Offset,
    limit: query.Limit,
  });
  return { TotalCount: total, EventList: tasks.map((task) => eventOf(task, scfUtcOffsetMinutes)) };
});

function eventOf(task: ListedTask, utcOffsetMinutes: number): object {
  return {
    InvokeRequestId: task.taskId,
    InvokeType: INVOKE_TYPE,
    Qualifier: LATEST,
    Status: task.status,
    StartTime: scfTime(Date.parse(task.createdAt), utcOffsetMinutes),
    EndTime: task.endedAt === null ? "" : scfTime(Date.parse(task.endedAt), utcOffsetMinutes),
  };
}

/** Service `scf`, version 2018-04-16. There is only one function, so every function name stands for it. */
export const SCF_ACTIONS: Readonly<Record<string, TencentAction>> = {
  Invoke: invoke,
  TerminateAsyncEvent: terminateAsyncEvent,
  GetAsyncEventStatus: getAsyncEventStatus,
  ListAsyncEvents: listAsyncEvents,
  GetFunctionLogs: getFunctionLogs,
};
