import { isActive, isTerminal, scfStatus } from "@roomcast/shared";
import type { AttemptRef } from "../../contracts/task-object.ts";
import { executionLimitMs, queueTimeoutMs } from "../../model/task-times.ts";
import { giveSeatBack } from "./claim-seat.ts";
import type { DeadlineKind } from "./next-deadline.ts";
import { type PlacedTask, placeTask } from "./place-task.ts";
import { roomOver } from "./room-sight.ts";
import { directoryOf, newestProgress, regionOf } from "./task-context.ts";
import { type TaskRecord, withProgress } from "./task-record.ts";

export interface DueTask extends PlacedTask {
  /** Does what reads the request, one after another. */
  inTurn(job: () => Promise<void>): Promise<void>;
  /** Deletes everything that is stored of it. */
  delete(): Promise<void>;
}

/** Does what is due for a task, as `nextDeadline` has said. Rejects where another object did not answer. */
export async function handleDeadline(task: DueTask, kind: DeadlineKind, record: TaskRecord): Promise<void> {
  switch (kind) {
    case "place":
      return task.inTurn(() => placeTask(task));
    case "queueTimeout":
      return onWaitedLong(task, record);
    case "acceptTimeout":
      return onNotAccepted(task, record);
    case "stopTimeout":
      await noteProgress(task, record);
      return task.control({ type: kind });
    case "executionTimeout":
      await noteProgress(task, record);
      return task.control({ type: kind, limitMs: executionLimitMs(record.request, task.config.executionTimeoutMs) });
    case "roomOver": {
      const over = roomOver(record.room, record.request.EmptyRoomTimeout);
      return over === null ? undefined : task.control({ type: "stopAsked", how: "now", reason: over.reason });
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

/** Where the edge ends a task by itself, the worker's word about it comes too late. */
async function noteProgress(task: DueTask, record: TaskRecord): Promise<void> {
  const progress = await newestProgress(task, record);
  if (task.record !== undefined) await task.put(withProgress(task.record, progress, record.state.attempt));
}

async function onWaitedLong(task: DueTask, record: TaskRecord): Promise<void> {
  const outlook = await regionOf(task, record)
    .outlook()
    .catch((thrown: unknown) => task.failed("workers not counted", thrown));
  const { workers = null, returningMs = 0 } = outlook ?? {};
  const nowMs = Date.now();
  if (returningMs > 0) {
    // While the edge was down nobody could take it: that time does not count.
    const sinceMs = nowMs + returningMs - queueTimeoutMs(record.request, task.config);
    return task.control({ type: "waitsOn", sinceMs });
  }
  return task.control({ type: "queueTimeout", workers, waitedMs: nowMs - record.waitingSinceMs });
}

/** In a busy edge a worker's word takes its time; where the region has heard of the attempt it is not taken back. */
async function onNotAccepted(task: DueTask, record: TaskRecord): Promise<void> {
  const ref = holderOf(record);
  if (ref === null) return;
  const answers = await regionOf(task, record)
    .answersFor(record.taskId, ref)
    .catch((thrown: unknown) => task.failed("region not asked", thrown));
  if (answers === true) await task.hear(ref, { type: "accepted" });
  else await task.control({ type: "acceptTimeout" });
}

async function askRegion(task: DueTask, record: TaskRecord): Promise<void> {
  const ref = holderOf(record);
  if (ref === null) return;
  const held = await regionOf(task, record).holds(record.taskId, ref.attempt);
  if (held) return task.put({ ...(task.record ?? record), heardAtMs: Date.now() });
  const progress = await newestProgress(task, record);
  await task.hear(ref, { type: "released", reason: "No worker has the task any more.", progress });
}

/** Tells everybody of a task's end, once. */
async function settle(task: DueTask, record: TaskRecord): Promise<void> {
  const { state, taskId, successor, lastWorkerId } = record;
  if (!isTerminal(state)) return;
  const heir = await giveSeatBack(task);
  const status = scfStatus(state.name);
  const errorCode = state.name === "failed" ? state.error.code : null;
  await directoryOf(task, record).ended({ taskId, status, endedAtMs: state.sinceMs, heir, errorCode });
  await regionOf(task, record).forget(taskId, state.attempt);
  // It may have waited for this end: for the worker, which one that only waited itself never had.
  if (successor !== null && lastWorkerId !== null) await task.env.TASK.getByName(successor).wake();
  await task.put({ ...(task.record ?? record), settled: true, retryAtMs: 0 });
}

function holderOf({ state }: TaskRecord): AttemptRef | null {
  return isActive(state) ? { attempt: state.attempt, workerId: state.holder.workerId } : null;
}
