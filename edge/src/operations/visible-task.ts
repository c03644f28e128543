import { RoomcastError, type TaskView } from "@roomcast/shared";
import { z } from "zod";
import { type Caller, maySee } from "../auth/caller.ts";
import type { Env } from "../contracts/env.ts";
import { sdkAppIdOf } from "../model/task-id.ts";

const uuid = z.uuid();

/** Returns a task that the caller may see. A task of another application is answered as if it did not exist.
 *
 * @throws RoomcastError `ResourceNotFound.Task`
 */
export async function visibleTask(env: Env, caller: Caller, id: string): Promise<TaskView> {
  return (await findVisibleTask(env, caller, id)) ?? taskNotFound();
}

/** As `visibleTask`, but returns null if there is no such task. */
export async function findVisibleTask(env: Env, caller: Caller, id: string): Promise<TaskView | null> {
  const taskId = id.toLowerCase();
  const view = uuid.safeParse(taskId).success ? await viewOf(env, caller, taskId) : null;
  const sdkAppId = view?.request.SdkAppId;
  return sdkAppId !== undefined && maySee(caller, sdkAppId) ? view : null;
}

/** Makes the object of an accepted task that has none yet. */
async function viewOf(env: Env, caller: Caller, taskId: string): Promise<TaskView | null> {
  const task = env.TASK.getByName(taskId);
  const view = await task.view();
  const sdkAppId = sdkAppIdOf(taskId);
  // Only callers that may see the application's tasks can make its Directory look for one.
  if (view !== null || sdkAppId === null || !maySee(caller, sdkAppId)) return view;
  await env.DIRECTORY.getByName(String(sdkAppId)).createObject(taskId);
  return task.view();
}

/** @throws RoomcastError `ResourceNotFound.Task` */
export function taskNotFound(): never {
  throw new RoomcastError("ResourceNotFound.Task", "There is no such task: it never was, or it ended over 72 h ago.");
}
