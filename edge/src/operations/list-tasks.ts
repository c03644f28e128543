import { RoomcastError, type TaskEntry, type TaskList } from "@roomcast/shared";
import { type Caller, requireApp } from "../auth/caller.ts";
import type { Env } from "../contracts/env.ts";
import { ROOT } from "../contracts/root-registry.ts";
import { type HeldFilter, heldCondition } from "../model/held-condition.ts";
import { type Condition, inOrder, type ListQuery } from "../model/task-filter.ts";
import { mergedPage } from "./merged-page.ts";

/** The largest number of directories that a listing over all applications asks. */
const MAX_APPS_LISTED = 50;

export interface ListTasksOptions extends Omit<ListQuery, "held">, HeldFilter {
  /** Null means all applications that the caller may see. */
  readonly sdkAppId: number | null;
  readonly offset: number;
}

/** A page of the list of tasks, as far as the directories know them. */
export type TaskPage = Omit<TaskList, "tasks"> & { readonly tasks: readonly TaskEntry[] };

/** Adds to each task of a page its present state. */
export async function withDetails(env: Env, page: TaskPage): Promise<TaskList> {
  return { ...page, tasks: await Promise.all(page.tasks.map((entry) => detailed(env, entry))) };
}

/**
 * The state that is shown for a task without an object: one that was just accepted, or that was deleted while the list was
 * made.
 */
const UNSEEN = { state: "queued", attempt: 1, workerId: null, progress: null, error: null, reason: null } as const;

async function detailed(env: Env, entry: TaskEntry): Promise<TaskList["tasks"][number]> {
  const view = await env.TASK.getByName(entry.taskId)
    .view()
    .catch((thrown: unknown) => {
      console.error("a listed task did not answer", { taskId: entry.taskId, thrown: String(thrown) });
      return null;
    });
  const { state, attempt, workerId, progress, error, reason } = view ?? UNSEEN;
  return { ...entry, state, attempt, workerId, progress, error, reason };
}

/** Returns one page of the tasks that a caller may see.
 *
 * @throws RoomcastError `AuthFailure.UnauthorizedOperation`; `MissingParameter` when there are too many applications.
 */
export async function listTasks(
  env: Env,
  caller: Caller,
  { sdkAppId, offset, limit, states, workerId, ...rest }: ListTasksOptions,
): Promise<TaskPage> {
  if (sdkAppId !== null) requireApp(caller, sdkAppId);
  const query = { ...rest, held: await heldConditions(env, { states, workerId }) };
  const apps = sdkAppId === null ? await appsOf(env, caller) : [sdkAppId];
  // The tasks before the page must be read too. Each directory first returns a share of the tasks, and a directory whose share
  // is used up is asked for more.
  const share = Math.max(limit, Math.ceil((offset + limit) / Math.max(1, apps.length)));
  const perApp = { ...query, limit: share };
  const lists = await Promise.all(
    apps.map(async (app) => {
      const directory = env.DIRECTORY.getByName(String(app));
      const { tasks, ...counted } = await directory.list(perApp);
      return { ...counted, tasks, more: (last: TaskEntry) => directory.listAfter(perApp, last) };
    }),
  );
  return {
    total: lists.reduce((sum, { total }) => sum + total, 0),
    counts: sumOf(lists.map(({ counts }) => counts)),
    tasks: await mergedPage(lists, { offset, limit, share, compare: inOrder(query) }),
  };
}

/**
 * Returns the conditions of the filters on states and workers. The regions are asked for their tasks only if there is such a
 * filter.
 */
async function heldConditions(env: Env, filter: HeldFilter): Promise<Condition[]> {
  if (filter.states === undefined && filter.workerId === undefined) return [];
  const regions = await env.DIRECTORY.getByName(ROOT).known("region");
  const held = await Promise.all(regions.map((region) => env.REGION.getByName(region).heldTasks()));
  return heldCondition(filter, held.flat());
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
