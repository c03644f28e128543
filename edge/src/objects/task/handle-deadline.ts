import { isActive, isTerminal, scfStatus } from "@roomcast/shared";
import type { AttemptRef } from "../../contracts/task-object.ts";
import { executionLimitMs, queueTimeoutMs } from "../../model/task-times.ts";
import { returnSeat } from "./claim-seat.ts";
import type { DeadlineKind } from "./next-deadline.ts";
import { placeTask } from "./place-task.ts";
import { roomOver } from "./room-sight.ts";
import { directoryOf, newestReport, regionOf, type TaskContext } from "./task-context.ts";
import type { TaskRecord } from "./task-record.ts";

/** Handles a deadline that is due. Rejects if another object did not answer. */
export async function handleDeadline(task: TaskContext, kind: DeadlineKind, record: TaskRecord): Promise<void> {
  switch (kind) {
    case "place":
      return task.inTurn(() => placeTask(task));
    case "queueTimeout":
      return onWaitedLong(task, record);
    case "acceptTimeout":
      return onNotAccepted(task, record);
    case "stopTimeout":
      await readProgress(task, record);
      await task.apply({ type: kind });
      return;
    case "executionTimeout": {
      await readProgress(task, record);
      const limitMs = executionLimitMs(record.request, task.config.executionTimeoutMs);
      await task.apply({ type: kind, limitMs });
      return;
    }
    case "roomOver": {
      const over = roomOver(record.room, record.request.EmptyRoomTimeout);
      if (over !== null) await task.apply({ type: "stopAsked", how: "now", reason: over.reason });
      return;
    }
    case "silence":
      return askRegion(task, record);
    case "settle":
      return settle(task, record);
    case "retention":
      await directoryOf(task, record).forget(record.taskId);
      return task.delete();
  }
}

/**
 * Stores the newest report that the region knows. It is called before the edge ends a task by itself, because the
 * worker's last report would then come too late.
 */
async function readProgress(task: TaskContext, record: TaskRecord): Promise<void> {
  await task.apply({ type: "progressRead", ...(await newestReport(task, record)) });
}

async function onWaitedLong(task: TaskContext, record: TaskRecord): Promise<void> {
  const outlook = await regionOf(task, record)
    .outlook()
    .catch((thrown: unknown) => task.failed("workers not counted", thrown));
  const { workers = null, returningMs = 0 } = outlook ?? {};
  const nowMs = Date.now();
  if (returningMs > 0) {
    // Workers are still expected back after a restart of the edge. No worker could take the task meanwhile, so that
    // time does not count.
    const sinceMs = nowMs + returningMs - queueTimeoutMs(record.request, task.config);
    await task.apply({ type: "waitRestarted", sinceMs });
    return;
  }
  await task.apply({ type: "queueTimeout", workers, waitedMs: nowMs - record.waitingSinceMs });
}

/**
 * Takes back an attempt that its worker has not accepted in time. A busy edge may pass a worker's answer on late, so
 * the attempt continues if the region knows it from the worker.
 */
async function onNotAccepted(task: TaskContext, record: TaskRecord): Promise<void> {
  const ref = holderOf(record);
  if (ref === null) return;
  const answers = await regionOf(task, record)
    .answersFor(record.taskId, ref)
    .catch((thrown: unknown) => task.failed("region not asked", thrown));
  if (answers === true) await task.applyOfWorker(ref, { type: "accepted" });
  else await task.apply({ type: "acceptTimeout" });
}

async function askRegion(task: TaskContext, record: TaskRecord): Promise<void> {
  const ref = holderOf(record);
  if (ref === null) return;
  const held = await regionOf(task, record).holds(record.taskId, ref.attempt);
  if (held) {
    await task.apply({ type: "stillHeld", attempt: ref.attempt });
    return;
  }
  const { progress, plan } = await newestReport(task, record);
  await task.applyOfWorker(ref, { type: "released", reason: "No worker has the task any more.", progress, plan });
}

/** Tells the other objects that a task has ended. */
async function settle(task: TaskContext, record: TaskRecord): Promise<void> {
  const { state, taskId, successor, lastWorkerId } = record;
  if (!isTerminal(state)) return;
  const heir = await returnSeat(task);
  const status = scfStatus(state.name);
  const errorCode = state.name === "failed" ? state.error.code : null;
  await directoryOf(task, record).ended({ taskId, status, endedAtMs: state.sinceMs, heir, errorCode });
  await regionOf(task, record).forget(taskId, state.attempt);
  // The successor may be waiting for this task's worker. If this task never had a worker, no task waits for one.
  if (successor !== null && lastWorkerId !== null) await task.env.TASK.getByName(successor).wake();
  await task.apply({ type: "settled" });
}

function holderOf({ state }: TaskRecord): AttemptRef | null {
  return isActive(state) ? { attempt: state.attempt, workerId: state.holder.workerId } : null;
}
