import { type PushRequest, pushRequestSchema, RoomcastError, shownRequest, type TaskUpdate } from "@roomcast/shared";
import { openSealed, seal } from "../../base/seal.ts";
import { applyUpdate } from "./apply-update.ts";
import type { TaskCore } from "./task-context.ts";

/** The task's whole request. Null: it has ended, or the request cannot be opened and the task has failed now. */
export async function openRequest(core: TaskCore): Promise<PushRequest | null> {
  const { record } = core;
  if (record === undefined || record.sealedRequest === null) return null;
  try {
    const { value, stale } = await openSealed(record.sealedRequest, core.config.sealKeys, record.taskId);
    if (stale) await sealAnew(core, value, record.sealedRequest);
    return pushRequestSchema.parse(value);
  } catch (thrown) {
    await core.control({ type: "broken", error: RoomcastError.from(thrown).toBody() });
    return null;
  }
}

/** So that a key which was replaced can be dropped some day. */
async function sealAnew(core: TaskCore, value: unknown, sealed: string): Promise<void> {
  if (core.record === undefined) return;
  const sealedRequest = await seal(value, core.config.sealKeys, core.record.taskId);
  if (core.record?.sealedRequest === sealed) await core.put({ ...core.record, sealedRequest });
}

/** Writes a change that holds into the request, so that another attempt goes on with it. */
export async function writeChange(core: TaskCore, change: TaskUpdate): Promise<void> {
  const request = await openRequest(core);
  const { record: before } = core;
  if (request === null || before === undefined) return;
  const { progress, paused } = before;
  const after = applyUpdate({ request, progress, paused }, change, Date.now());
  const sealedRequest = await seal(after.request, core.config.sealKeys, before.taskId);
  const now = core.record;
  // It may have ended meanwhile: then its secrets stay dropped.
  if (now === undefined || now.sealedRequest === null) return;
  await core.put({
    ...now,
    request: shownRequest(after.request),
    sealedRequest,
    progress: after.progress === progress ? now.progress : after.progress,
    paused: after.paused,
  });
}
