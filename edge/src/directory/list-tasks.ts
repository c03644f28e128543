import { RoomcastError, type TaskList } from "@roomcast/shared";
import { type Caller, requireApp } from "../auth/caller.ts";
import type { Env } from "../env.ts";
import { ROOT } from "./directory.ts";
import { inOrder, type ListQuery } from "./task-filter.ts";

/** Listing over all applications asks this many directories at most. */
const MAX_APPS_LISTED = 50;

export interface ListTasksOptions extends ListQuery {
  /** Null: all that the caller may see. */
  readonly sdkAppId: number | null;
  readonly offset: number;
}

/**
 * One page of the tasks that a caller may see.
 *
 * @throws RoomcastError `AuthFailure.UnauthorizedOperation`; `MissingParameter` when there are too many applications.
 */
export async function listTasks(
  env: Env,
  caller: Caller,
  { sdkAppId, offset, limit, ...query }: ListTasksOptions,
): Promise<TaskList> {
  if (sdkAppId !== null) requireApp(caller, sdkAppId);
  const apps = sdkAppId === null ? await appsOf(env, caller) : [sdkAppId];
  const lists = await Promise.all(
    apps.map((app) => env.DIRECTORY.getByName(String(app)).list({ ...query, limit: offset + limit })),
  );
  return {
    total: lists.reduce((sum, { total }) => sum + total, 0),
    counts: sumOf(lists.map(({ counts }) => counts)),
    tasks: lists
      .flatMap(({ tasks }) => tasks)
      .toSorted(inOrder(query))
      .slice(offset, offset + limit),
  };
}

function sumOf(all: readonly TaskList["counts"][]): TaskList["counts"] {
  const sum = (status: keyof TaskList["counts"]) => all.reduce((n, counts) => n + counts[status], 0);
  return { RUNNING: sum("RUNNING"), FINISHED: sum("FINISHED"), FAILED: sum("FAILED"), ABORTED: sum("ABORTED") };
}

async function appsOf(env: Env, { sdkAppIds }: Caller): Promise<readonly (number | string)[]> {
  if (sdkAppIds !== "*") return sdkAppIds;
  const apps = await env.DIRECTORY.getByName(ROOT).known("app");
  if (apps.length <= MAX_APPS_LISTED) return apps;
  throw new RoomcastError("MissingParameter", "SdkAppId is missing: there are too many applications to list at once.", {
    fields: [{ field: "SdkAppId", problem: "missing", expected: "the application whose tasks to list" }],
  });
}
