import { replacedBy } from "./decide.ts";
import { planTakeover, type SeatHolder, type Takeover } from "./takeover.ts";
import type { TaskCore } from "./task-core.ts";

/** Tells those who hold the seat that this task takes it, and says where it starts. Doing it again changes nothing. */
export async function takeSeat(core: TaskCore): Promise<Takeover> {
  const { record } = core;
  if (record === undefined || record.replaces.length === 0) return { kind: "free" };
  const asked = new Set<string>();
  const holders: SeatHolder[] = [];
  // A task that has not taken its own seat over yet leaves those who hold it to this one. The set grows on the way.
  const toAsk = new Set(record.replaces);
  for (const taskId of toAsk) {
    asked.add(taskId);
    const answer = await core.env.TASK.getByName(taskId).giveWay(record.taskId);
    if (answer.kind === "holds") holders.push(answer);
    for (const before of answer.before) toAsk.add(before);
  }
  const now = core.record;
  if (now === undefined) return { kind: "free" };
  await core.put({ ...now, replaces: holders.map(({ taskId }) => taskId) });
  const pinnedRegion = record.request.Region ?? null;
  return planTakeover(holders, { pinnedRegion, avoidWorkerId: record.avoidWorkerId });
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
  let heir: string | null = null;
  for (const taskId of record?.replaces ?? []) {
    if (await core.env.TASK.getByName(taskId).stay(record?.taskId ?? "")) heir ??= taskId;
  }
  return heir;
}
