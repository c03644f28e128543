import { isTerminal } from "@roomcast/shared";
import type { SeatHolder } from "../../contracts/task-object.ts";
import { replacedBy } from "./move-task.ts";
import { leftToAsk, planTakeover, type Takeover } from "./plan-takeover.ts";
import type { TaskContext } from "./task-context.ts";
import type { TaskRecord } from "./task-record.ts";

/**
 * Asks the tasks that hold the seat to give way, and returns how this task can start. A repeated call changes nothing.
 */
export async function claimSeat(task: TaskContext): Promise<Takeover> {
  await askElsewhere(task);
  const { record } = task;
  if (record === undefined || record.replaces.length === 0) return { kind: "free" };
  // This is stored before the first question. If this object dies while it asks and the task then ends, the tasks that
  // were asked must get their seat back.
  await task.apply({ type: "seatAsked" });
  const { holders, left } = await askThoseBefore(task, record);
  const held = holders.map(({ taskId }) => taskId);
  if (left.length > 0) {
    // This task ended while it was asking. The remaining tasks are left to its successor.
    for (const taskId of held) await task.env.TASK.getByName(taskId).returnSeat(record.taskId);
    await task.apply({ type: "seatClaimDropped", seat: record.seat, replaces: [...held, ...left] });
    return { kind: "free" };
  }
  await task.apply({ type: "seatClaimed", holders: held });
  const pinnedRegion = record.request.Region ?? null;
  return planTakeover(holders, { pinnedRegion, avoidWorkerId: record.avoidWorkerId });
}

/**
 * Tells the same user's tasks in other rooms that this task replaces them. They continue until this task is in its own
 * room.
 */
async function askElsewhere({ env, record }: TaskContext): Promise<void> {
  if (record === undefined) return;
  for (const taskId of record.elsewhere ?? []) {
    const other = env.TASK.getByName(taskId);
    const answer = await other.giveWay(record.taskId, "otherRoom");
    if (answer.kind !== "gone") continue;
    // The other task may have been accepted, but have no object yet.
    await env.DIRECTORY.getByName(String(record.request.SdkAppId)).createObject(taskId);
    await other.giveWay(record.taskId, "otherRoom");
  }
}

interface Asked {
  readonly holders: readonly SeatHolder[];
  /** The older tasks that were not asked, because this task ended meanwhile. */
  readonly left: readonly string[];
}

/**
 * Asks the older tasks of the seat to give way. If an older task has itself not taken over from the tasks before it,
 * this task asks those too.
 */
async function askThoseBefore(task: TaskContext, { taskId: successor, replaces }: TaskRecord): Promise<Asked> {
  const holders: SeatHolder[] = [];
  const asked = new Set<string>();
  let left = replaces;
  for (let taskId = left[0]; taskId !== undefined; taskId = left[0]) {
    if (task.record === undefined || isTerminal(task.record.state)) break;
    asked.add(taskId);
    const answer = await task.env.TASK.getByName(taskId).giveWay(successor);
    if (answer.kind === "holds") holders.push(answer);
    left = leftToAsk(left, answer).filter((before) => !asked.has(before));
  }
  return { holders, left };
}

/** Ends the tasks whose seat this task has taken over, or needs before it can start. */
export async function endReplaced(task: TaskContext, taskIds: readonly string[]): Promise<void> {
  const { record } = task;
  if (record === undefined) return;
  for (const taskId of taskIds) {
    await task.env.TASK.getByName(taskId)
      .stop("now", replacedBy(record.taskId))
      // After a takeover, the worker ends the replaced push by itself, and this call only makes sure of that.
      .catch((thrown: unknown) => task.failed("the task before was not stopped", thrown));
  }
}

/**
 * Gives the seat back to the tasks that held it, because this task ended without taking it over.
 *
 * @returns the task that has the seat again; null if there is no such task
 */
export async function returnSeat({ env, record }: TaskContext): Promise<string | null> {
  if (record === undefined) return null;
  for (const taskId of record.elsewhere ?? []) await env.TASK.getByName(taskId).returnSeat(record.taskId);
  // If this task has asked no other task to give way and has a successor, the seat passes to the successor.
  if (record.seat === "untouched" && record.successor !== null) return null;
  let heir: string | null = null;
  for (const taskId of record.replaces) {
    if (await env.TASK.getByName(taskId).returnSeat(record.taskId)) heir ??= taskId;
  }
  return heir;
}
