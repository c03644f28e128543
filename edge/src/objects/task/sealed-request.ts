import { type PushRequest, pushRequestSchema, RoomcastError, shownRequest, type TaskUpdate } from "@roomcast/shared";
import { openSealed, seal } from "../../base/seal.ts";
import { applyUpdate } from "./apply-update.ts";
import type { TaskContext } from "./task-context.ts";

/** Opens the task's request. Returns null if the task has ended, or has failed now because the request cannot be opened. */
export async function openRequest(task: TaskContext): Promise<PushRequest | null> {
  const { record } = task;
  if (record === undefined || record.sealedRequest === null) return null;
  try {
    const { value, stale } = await openSealed(record.sealedRequest, task.config.sealKeys, record.taskId);
    if (stale) await reseal(task, { value, taskId: record.taskId, before: record.sealedRequest });
    return pushRequestSchema.parse(value);
  } catch (thrown) {
    await task.apply({ type: "broken", error: RoomcastError.from(thrown).toBody() });
    return null;
  }
}

/** Seals the request again with the newest key, so that an operator can remove the older key. */
async function reseal(
  task: TaskContext,
  { value, taskId, before }: { readonly value: unknown; readonly taskId: string; readonly before: string },
): Promise<void> {
  const sealedRequest = await seal(value, task.config.sealKeys, taskId);
  await task.apply({ type: "resealed", before, sealedRequest });
}

/** Stores a change in the task's request, so that a later attempt continues with the change. */
export async function writeChange(task: TaskContext, change: TaskUpdate): Promise<void> {
  const request = await openRequest(task);
  const { record } = task;
  if (request === null || record === undefined) return;
  const { progress, paused } = record;
  const after = applyUpdate({ request, progress, paused }, change, Date.now());
  const sealedRequest = await seal(after.request, task.config.sealKeys, record.taskId);
  // If the task has ended while its request was sealed, this event is stale, so no secret is stored.
  await task.apply({
    type: "requestChanged",
    request: shownRequest(after.request),
    sealedRequest,
    paused: after.paused,
    ...(after.progress === progress ? {} : { progress: after.progress }),
  });
}
