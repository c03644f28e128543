import { RoomcastError, type TaskView } from "@roomcast/shared";
import { z } from "zod";
import { type Caller, maySee } from "../auth/caller.ts";
import type { Env } from "../contracts/env.ts";
import { sdkAppIdOf } from "../model/task-id.ts";

const uuid = z.uuid();

/**
 * Returns a task that the caller may see. For a task that the caller may not see, the answer is the same as for one that does
 * not exist.
 *
 * @throws RoomcastError `ResourceNotFound.Task`
 */
export async function visibleTask(env: Env, caller: Caller, id: string): Promise<TaskView> {
  return (await findVisibleTask(env, caller, id)) ?? taskNotFound();
}

/** Works like `visibleTask`, but returns null if there is no such task. */
export async function findVisibleTask(env: Env, caller: Caller, id: string): Promise<TaskView | null> {
  const taskId = id.toLowerCase();
  const view = uuid.safeParse(taskId).success ? await viewOf(env, caller, taskId) : null;
  const sdkAppId = view?.request.SdkAppId;
  return sdkAppId !== undefined && maySee(caller, sdkAppId) ? view : null;
}

/** Returns a task. If the task was accepted but has no object yet, the object is created first. */
async function viewOf(env: Env, caller: Caller, taskId: string): Promise<TaskView | null> {
  const task = env.TASK.getByName(taskId);
  const view = await task.view();
  const sdkAppId = sdkAppIdOf(taskId);
  // The Directory of the task's application is asked to look for the task only if the caller may see that application.
  if (view !== null || sdkAppId === null || !maySee(caller, sdkAppId)) return view;
  await env.DIRECTORY.getByName(String(sdkAppId)).createObject(taskId);
  return task.view();
}

/** @throws RoomcastError `ResourceNotFound.Task` */
export function taskNotFound(): never {
  throw new RoomcastError("ResourceNotFound.Task", "There is no such task: it never was, or it ended over 72 h ago.");
}
