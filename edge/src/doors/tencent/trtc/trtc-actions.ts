import { pushRequestSchema, RoomcastError, type TaskView, taskUpdateSchema } from "@roomcast/shared";
import { z } from "zod";
import { requireApp, requireRole } from "../../../auth/caller.ts";
import { createPush } from "../../../operations/create-push.ts";
import { findVisibleTask, taskNotFound } from "../../../operations/visible-task.ts";
import {
  type ActionContext,
  replayKey,
  shownWarnings,
  type TencentAction,
  tencentAction,
} from "../call/tencent-action.ts";
import { enableProgress, pushOf, startStreamIngestSchema } from "./start-stream-ingest.ts";

const TASK_EXPECTED = "the TaskId that StartStreamIngest answered";

const taskSchema = z.strictObject({
  SdkAppId: pushRequestSchema.shape.SdkAppId,
  TaskId: z.string(TASK_EXPECTED).min(1, TASK_EXPECTED).max(128, TASK_EXPECTED),
});
type TaskRef = z.output<typeof taskSchema>;

const NOT_EXIST = { Status: "NotExist" } as const;
const IN_PROGRESS = { Status: "InProgress" } as const;

/**
 * Returns the task if it belongs to the named application. Returns null if there is no such task, or if it belongs to another
 * application.
 */
async function taskOf({ env, caller }: ActionContext, { SdkAppId, TaskId }: TaskRef): Promise<TaskView | null> {
  requireApp(caller, SdkAppId);
  const task = await findVisibleTask(env, caller, TaskId);
  return task?.request.SdkAppId === SdkAppId ? task : null;
}

const startStreamIngest = tencentAction(startStreamIngestSchema, async (context, call) => {
  const { env, caller, region } = context;
  const { taskId: TaskId, warnings } = await createPush(env, {
    input: pushOf(call),
    caller,
    idempotencyKey: replayKey(context),
    regionHeader: region,
  });
  return { TaskId, ...shownWarnings(warnings) };
});

const describeStreamIngest = tencentAction(taskSchema, async (context, ref) => {
  const task = await taskOf(context, ref);
  return task?.status === "RUNNING" ? IN_PROGRESS : NOT_EXIST;
});

const stopStreamIngest = tencentAction(taskSchema, async (context, ref) => {
  requireRole(context.caller, "operator");
  const { taskId } = (await taskOf(context, ref)) ?? taskNotFound();
  if ((await context.env.TASK.getByName(taskId).stop("now", "stopped by the user")) === null) taskNotFound();
  return {};
});

const change = taskUpdateSchema.shape;
const updateSchema = z
  .strictObject({
    ...taskSchema.shape,
    StreamUrl: change.VideoSrc,
    Volume: change.Volume,
    IsPause: change.IsPause,
    EnableProgress: enableProgress,
    Tempo: change.Tempo,
  })
  .transform(({ SdkAppId, TaskId, StreamUrl, EnableProgress: _none, ...same }) => ({
    ref: { SdkAppId, TaskId },
    change: { ...same, ...(StreamUrl === undefined ? {} : { VideoSrc: StreamUrl }) },
  }));

const updateStreamIngest = tencentAction(updateSchema, async (context, { ref, change: given }) => {
  requireRole(context.caller, "operator");
  const task = await taskOf(context, ref);
  if (task?.status !== "RUNNING") return NOT_EXIST;
  // A call that changes nothing is not an error, which is the behaviour of Tencent's API too.
  if (Object.keys(given).length === 0) return IN_PROGRESS;
  const updated = await context.env.TASK.getByName(task.taskId).update(given);
  if (updated === null) return NOT_EXIST;
  if (updated.kind === "changed") return IN_PROGRESS;
  // The task may have ended since its status was read; it is then answered like any ended task.
  if (updated.error.code === "ResourceUnavailable.TaskEnded") return NOT_EXIST;
  throw RoomcastError.fromBody(updated.error);
});

/** Service `trtc`, version 2019-07-22. */
export const TRTC_ACTIONS: Readonly<Record<string, TencentAction>> = {
  StartStreamIngest: startStreamIngest,
  UpdateStreamIngest: updateStreamIngest,
  DescribeStreamIngest: describeStreamIngest,
  StopStreamIngest: stopStreamIngest,
};
