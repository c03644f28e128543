import { isTerminal } from "@roomcast/shared";
import type { SeatHolder } from "../../contracts/task-object.ts";
import { leftToAsk, planTakeover, type Takeover } from "./plan-takeover.ts";
import type { TaskCore } from "./task-context.ts";
import type { TaskRecord } from "./task-record.ts";
import { replacedBy } from "./task-transition.ts";

/** Tells those who hold the seat that this task takes it, and says where it starts. Doing it again changes nothing. */
export async function claimSeat(core: TaskCore): Promise<Takeover> {
  await askElsewhere(core);
  const { record } = core;
  if (record === undefined || record.replaces.length === 0) return { kind: "free" };
  // Should this object die on the way and the task end then, those that were asked must be told.
  await core.put({ ...record, seat: "asked" });
  const { holders, left } = await askThoseBefore(core, record);
  const now = core.record;
  if (now === undefined) return { kind: "free" };
  const held = holders.map(({ taskId }) => taskId);
  if (left.length > 0) {
    // It has ended on the way. The rest is for its successor to ask.
    for (const taskId of held) await core.env.TASK.getByName(taskId).stay(record.taskId);
    await core.put({ ...now, seat: record.seat, replaces: [...held, ...left] });
    return { kind: "free" };
  }
  await core.put({ ...now, replaces: held });
  const pinnedRegion = record.request.Region ?? null;
  return planTakeover(holders, { pinnedRegion, avoidWorkerId: record.avoidWorkerId });
}

/** Tells the same user's tasks in other rooms that this one replaces them; they go on until it is in its own room. */
async function askElsewhere({ env, record }: TaskCore): Promise<void> {
  if (record === undefined) return;
  for (const taskId of record.elsewhere ?? []) {
    const other = env.TASK.getByName(taskId);
    const answer = await other.giveWay(record.taskId, "otherRoom");
    if (answer.kind !== "gone") continue;
    // It may be accepted and have no object yet.
    await env.DIRECTORY.getByName(String(record.request.SdkAppId)).handOver(taskId);
    await other.giveWay(record.taskId, "otherRoom");
  }
}

interface Asked {
  readonly holders: readonly SeatHolder[];
  /** Who was not asked, because the task has ended meanwhile. */
  readonly left: readonly string[];
}

/** A task that has not taken its own seat over yet leaves those who hold it to this one. */
async function askThoseBefore(core: TaskCore, { taskId: successor, replaces }: TaskRecord): Promise<Asked> {
  const holders: SeatHolder[] = [];
  const asked = new Set<string>();
  let left = replaces;
  for (let taskId = left[0]; taskId !== undefined; taskId = left[0]) {
    if (core.record === undefined || isTerminal(core.record.state)) break;
    asked.add(taskId);
    const answer = await core.env.TASK.getByName(taskId).giveWay(successor);
    if (answer.kind === "holds") holders.push(answer);
    left = leftToAsk(left, answer).filter((before) => !asked.has(before));
  }
  return { holders, left };
}

/** Ends the tasks whose seat this one has, or must have before it can start. */
export async function endReplaced(core: TaskCore, taskIds: readonly string[]): Promise<void> {
  const { record } = core;
  if (record === undefined) return;
  for (const taskId of taskIds) {
    await core.env.TASK.getByName(taskId)
      .stop("now", replacedBy(record.taskId))
      // The worker ends them by itself; this makes sure.
      .catch((thrown: unknown) => core.failed("the task before was not stopped", thrown));
  }
}

/**
 * This task has ended without taking the seat over: those who held it go on.
 *
 * @returns who has the seat again, if anybody
 */
export async function giveSeatBack(core: TaskCore): Promise<string | null> {
  const { record } = core;
  for (const taskId of record?.elsewhere ?? []) await core.env.TASK.getByName(taskId).stay(record?.taskId ?? "");
  // The seat is the successor's, and nobody was told to leave it to this one.
  if (record === undefined || (record.seat === "untouched" && record.successor !== null)) return null;
  let heir: string | null = null;
  for (const taskId of record.replaces) {
    if (await core.env.TASK.getByName(taskId).stay(record.taskId)) heir ??= taskId;
  }
  return heir;
}
