import { RoomcastError, type TaskList, type TaskView, validate } from "@roomcast/shared";
import { type Context, Hono } from "hono";
import { z } from "zod";
import { maySee, requireApp, requireRole } from "../auth/caller.ts";
import { ROOT } from "../directory/directory.ts";
import type { AppContext } from "../http/app-context.ts";
import { readOptionalJson } from "../http/read-json.ts";

const HOW_EXPECTED = '"now" or "tidy"';
const stopSchema = z.strictObject({ how: z.enum(["now", "tidy"], HOW_EXPECTED).default("now") }, "a JSON object");

function wholeNumber(min: number, max: number) {
  const expected = `an integer from ${min} to ${max}`;
  return z
    .string(expected)
    .regex(/^[0-9]{1,10}$/, expected)
    .transform(Number)
    .refine((number) => number >= min && number <= max, expected);
}

const listSchema = z.strictObject({
  SdkAppId: wholeNumber(1, 4_294_967_295).optional(),
  status: z.enum(["RUNNING", "FINISHED", "FAILED", "ABORTED"], "RUNNING, FINISHED, FAILED or ABORTED").optional(),
  limit: wholeNumber(1, 100).default(20),
  offset: wholeNumber(0, 10_000).default(0),
});

/** Listing over all applications asks this many directories at most. */
const MAX_APPS_LISTED = 50;

const uuid = z.uuid();

export const taskRoutes = new Hono<AppContext>()
  .get("/", async (c) => {
    const { SdkAppId, status, limit, offset } = validate(listSchema, c.req.query());
    const caller = c.get("caller");
    if (SdkAppId !== undefined) requireApp(caller, SdkAppId);
    const apps = SdkAppId === undefined ? await appsOf(c) : [SdkAppId];
    const query = { status: status ?? null, limit: offset + limit };
    const lists = await Promise.all(apps.map((app) => c.env.DIRECTORY.getByName(String(app)).list(query)));
    const list: TaskList = {
      total: lists.reduce((sum, { total }) => sum + total, 0),
      tasks: lists
        .flatMap(({ tasks }) => tasks)
        .toSorted((a, b) => compare(b.createdAt, a.createdAt) || compare(b.taskId, a.taskId))
        .slice(offset, offset + limit),
    };
    return c.json(list);
  })
  .get("/:id", async (c) => c.json(await visibleTask(c, c.req.param("id"))))
  .get("/:id/logs", async (c) => {
    const { taskId } = await visibleTask(c, c.req.param("id"));
    return c.json((await c.env.TASK.getByName(taskId).logs()) ?? notFound());
  })
  .delete("/:id", async (c) => {
    requireRole(c.get("caller"), "operator");
    const { how } = validate(stopSchema, await stopInput(c));
    const { taskId } = await visibleTask(c, c.req.param("id"));
    return c.json((await c.env.TASK.getByName(taskId).stop(how, "stopped by the user")) ?? notFound());
  });

/** Another application's task answers as one that is not there. */
async function visibleTask(c: Context<AppContext>, id: string): Promise<TaskView> {
  const taskId = id.toLowerCase();
  const view = uuid.safeParse(taskId).success ? await c.env.TASK.getByName(taskId).view() : null;
  const sdkAppId = view?.request.SdkAppId;
  return view !== null && sdkAppId !== undefined && maySee(c.get("caller"), sdkAppId) ? view : notFound();
}

function notFound(): never {
  throw new RoomcastError("ResourceNotFound.Task", "There is no such task: it never was, or it ended over 72 h ago.");
}

/** `how` stands in the query or in a JSON body. */
async function stopInput(c: Context<AppContext>): Promise<unknown> {
  const query = c.req.query();
  return Object.keys(query).length > 0 ? query : readOptionalJson(c.req.raw);
}

async function appsOf(c: Context<AppContext>): Promise<readonly (number | string)[]> {
  const { sdkAppIds } = c.get("caller");
  if (sdkAppIds !== "*") return sdkAppIds;
  const apps = await c.env.DIRECTORY.getByName(ROOT).known("app");
  if (apps.length <= MAX_APPS_LISTED) return apps;
  throw new RoomcastError("MissingParameter", "SdkAppId is missing: there are too many applications to list at once.", {
    fields: [{ field: "SdkAppId", problem: "missing", expected: "the application whose tasks to list" }],
  });
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
