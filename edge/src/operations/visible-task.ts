import { RoomcastError, type TaskView } from "@roomcast/shared";
import { z } from "zod";
import { type Caller, maySee } from "../auth/caller.ts";
import type { Env } from "../contracts/env.ts";
import { sdkAppIdOf } from "../model/task-id.ts";

const uuid = z.uuid();

/**
 * A task that the caller may see. Another application's task answers as one that is not there.
 *
 * @throws RoomcastError `ResourceNotFound.Task`
 */
export async function visibleTask(env: Env, caller: Caller, id: string): Promise<TaskView> {
  return (await findVisibleTask(env, caller, id)) ?? taskNotFound();
}

/** As `visibleTask`; null: there is none. */
export async function findVisibleTask(env: Env, caller: Caller, id: string): Promise<TaskView | null> {
  const taskId = id.toLowerCase();
  const view = uuid.safeParse(taskId).success ? await viewOf(env, caller, taskId) : null;
  const sdkAppId = view?.request.SdkAppId;
  return sdkAppId !== undefined && maySee(caller, sdkAppId) ? view : null;
}

/** A task that was accepted and has no object of its own yet gets it now. */
async function viewOf(env: Env, caller: Caller, taskId: string): Promise<TaskView | null> {
  const task = env.TASK.getByName(taskId);
  const view = await task.view();
  const sdkAppId = sdkAppIdOf(taskId);
  // Only who may see the application's tasks can make its directory look for one.
  if (view !== null || sdkAppId === null || !maySee(caller, sdkAppId)) return view;
  await env.DIRECTORY.getByName(String(sdkAppId)).handOver(taskId);
  return task.view();
}

/** @throws RoomcastError `ResourceNotFound.Task` */
export function taskNotFound(): never {
  throw new RoomcastError("ResourceNotFound.Task", "There is no such task: it never was, or it ended over 72 h ago.");
}
