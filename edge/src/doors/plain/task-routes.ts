import {
  ACTIVE_STATES,
  ERROR_CODES,
  givenFields,
  pushRequestSchema,
  RoomcastError,
  regionName,
  SCF_STATUSES,
  type ScfStatus,
  type TaskStateName,
  TERMINAL_STATES,
  taskUpdateSchema,
  validate,
  workerIdSchema,
} from "@roomcast/shared";
import { type Context, Hono } from "hono";
import { z } from "zod";
import { requireRole } from "../../auth/caller.ts";
import type { AppContext } from "../../http/app-context.ts";
import { readJson, readOptionalJson } from "../../http/read-json.ts";
import type { Interval } from "../../model/task-filter.ts";
import { listTasks, withDetails } from "../../operations/list-tasks.ts";
import { taskNotFound, visibleTask } from "../../operations/visible-task.ts";

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

const ROOM_EXPECTED = "the number or the name of a room";
const STATUSES = new RegExp(`^(${SCF_STATUSES.join("|")})(,(${SCF_STATUSES.join("|")}))*$`);
const STATUS_EXPECTED = `${SCF_STATUSES.join(", ")}, or several of them with commas in between`;
const STATE_NAMES = ["queued", ...ACTIVE_STATES, ...TERMINAL_STATES];
const STATES = new RegExp(`^(${STATE_NAMES.join("|")})(,(${STATE_NAMES.join("|")}))*$`);
const STATE_EXPECTED = `${STATE_NAMES.join(", ")}, or several of them with commas in between`;
const TIME_EXPECTED = 'a time with its offset such as "2026-12-31T20:15:00+08:00" or "2026-12-31T12:15:00Z"';
const time = z.iso.datetime({ offset: true, error: TIME_EXPECTED }).transform((text) => Date.parse(text));

const listSchema = z.strictObject({
  SdkAppId: wholeNumber(1, 4_294_967_295).optional(),
  taskId: z.uuid("a task's id").optional(),
  status: z
    .string(STATUS_EXPECTED)
    .regex(STATUSES, STATUS_EXPECTED)
    // SAFETY: the pattern lets only statuses pass.
    .transform((text) => text.split(",") as ScfStatus[])
    .optional(),
  state: z
    .string(STATE_EXPECTED)
    .regex(STATES, STATE_EXPECTED)
    // SAFETY: the pattern lets only states pass.
    .transform((text) => text.split(",") as TaskStateName[])
    .optional(),
  worker: workerIdSchema.optional(),
  createdFrom: time.optional(),
  createdBefore: time.optional(),
  endedFrom: time.optional(),
  endedBefore: time.optional(),
  room: z
    .string(ROOM_EXPECTED)
    .regex(/^[A-Za-z0-9_]{1,64}$/, ROOM_EXPECTED)
    .optional(),
  UserId: pushRequestSchema.shape.UserId.optional(),
  region: regionName.optional(),
  code: z.enum(Object.keys(ERROR_CODES), "the code of an error such as FailedOperation.SourceLost").optional(),
  runningAt: time.optional(),
  orderBy: z.enum(["created", "ended", "duration"], '"created", "ended" or "duration"').default("created"),
  order: z.enum(["asc", "desc"], '"asc" or "desc"').default("desc"),
  limit: wholeNumber(1, 100).default(20),
  offset: wholeNumber(0, 10_000).default(0),
});

export const taskRoutes = new Hono<AppContext>()
  .get("/", async (c) => {
    const { createdFrom, createdBefore, endedFrom, endedBefore, ...query } = validate(listSchema, c.req.query());
    const { SdkAppId, taskId, status, state, worker, room, UserId, region, code, runningAt, ...page } = query;
    const list = await listTasks(c.env, c.get("caller"), {
      ...page,
      sdkAppId: SdkAppId ?? null,
      taskId: taskId?.toLowerCase() ?? null,
      statuses: status ?? null,
      states: state,
      workerId: worker,
      created: interval(createdFrom, createdBefore),
      ended: interval(endedFrom, endedBefore),
      room,
      userId: UserId,
      region,
      errorCode: code,
      runningAtMs: runningAt,
    });
    return c.json(await withDetails(c.env, list));
  })
  .get("/:id", async (c) => c.json(await visibleTask(c.env, c.get("caller"), c.req.param("id"))))
  .get("/:id/logs", async (c) => {
    const { taskId } = await visibleTask(c.env, c.get("caller"), c.req.param("id"));
    return c.json((await c.env.TASK.getByName(taskId).logs()) ?? taskNotFound());
  })
  .patch("/:id", async (c) => {
    requireRole(c.get("caller"), "operator");
    const change = validate(taskUpdateSchema, givenFields(taskUpdateSchema, await readJson(c.req.raw)));
    const { taskId } = await visibleTask(c.env, c.get("caller"), c.req.param("id"));
    const answer = (await c.env.TASK.getByName(taskId).update(change)) ?? taskNotFound();
    if (answer.kind === "refused") throw RoomcastError.fromBody(answer.error);
    return c.json(answer.task);
  })
  .delete("/:id", async (c) => {
    requireRole(c.get("caller"), "operator");
    const { how } = validate(stopSchema, await stopInput(c));
    const { taskId } = await visibleTask(c.env, c.get("caller"), c.req.param("id"));
    return c.json((await c.env.TASK.getByName(taskId).stop(how, "stopped by the user")) ?? taskNotFound());
  });

/** Reads `how` from the query or from a JSON body. */
async function stopInput(c: Context<AppContext>): Promise<unknown> {
  const query = c.req.query();
  return Object.keys(query).length > 0 ? query : readOptionalJson(c.req.raw);
}

/** Returns the period between two times. The period is unbounded on a side whose time is not given. */
function interval(fromMs: number | undefined, beforeMs: number | undefined): Interval | null {
  if (fromMs === undefined && beforeMs === undefined) return null;
  return { fromMs: fromMs ?? 0, beforeMs: beforeMs ?? Number.MAX_SAFE_INTEGER };
}
