import { expectedUnits, requiredProtocol } from "@roomcast/shared";
import type { AttemptRef } from "../../contracts/task-object.ts";
import { leftOfMaxDuration } from "../../model/task-times.ts";
import { claimSeat, endReplaced } from "./claim-seat.ts";
import { withFreshUserSig } from "./fresh-user-sig.ts";
import { openRequest } from "./sealed-request.ts";
import { directoryOf, regionOf, type TaskContext } from "./task-context.ts";
import { holds } from "./task-transition.ts";

/** The first protocol version whose workers can start a push that is paused. */
const PROTOCOL_WITH_PAUSE = 2;

/**
 * How soon a task that waits for its seat tries again. The task is woken earlier when the tasks that hold the seat have
 * ended.
 */
const SEAT_RETRY_MS = 1000;
/**
 * How long a task waits for an absent worker that has the task's seat. On that worker, the task could start while the
 * older task still plays.
 */
const MAX_AWAY_MS = 2000;
const AWAY_RETRY_MS = 200;

/**
 * How many times a second the waiting tasks of a region look for a worker, all together: the more tasks wait, the less
 * often each one looks. New free capacity in the region wakes them in any case.
 */
const RETRIES_A_SECOND = 50;

/** Finds a worker for the task, stores the choice, and only then gives the task to the worker. */
export async function placeTask(task: TaskContext): Promise<void> {
  const { wakes } = task;
  const takeover = await claimSeat(task);
  if (task.record?.state.name !== "queued") return;
  if (takeover.kind === "after") return waitForSeat(task, wakes);
  if (takeover.kind === "beside" && task.record.region !== takeover.region) {
    await regionOf(task, task.record).forget(task.record.taskId, task.record.state.attempt);
    await moveTo(task, takeover.region);
  }
  const { record } = task;
  if (record?.state.name !== "queued") return;
  const { taskId, region, request, paused } = record;
  const { attempt } = record.state;
  const protocol = requiredProtocol(request);
  const found = await regionOf(task, record).reserve({
    taskId,
    attempt,
    region,
    pinned: request.Region !== undefined,
    protocol: paused ? Math.max(PROTOCOL_WITH_PAUSE, protocol) : protocol,
    units: expectedUnits(record.plan, request),
    unopenedUnits: expectedUnits(null, request),
    avoidWorkerId: record.avoidWorkerId,
    onlyWorkerId: takeover.kind === "beside" ? takeover.workerId : null,
  });
  if (found.kind === "noRoom") {
    return takeover.kind === "beside"
      ? waitBeside(task, { wakes, waitedMs: Date.now() - record.waitingSinceMs })
      : waitInQueue(task, { wakes, waiting: found.waiting });
  }
  if (task.record?.state.name !== "queued" || task.record.state.attempt !== attempt) {
    // The task has ended or moved on while it looked for a worker, so it does not need the reservation.
    return task.env.REGION.getByName(found.region).forget(taskId, attempt);
  }
  // The worker may be in a neighbour region. The task then belongs to that region from now on.
  if (found.region !== task.record.region) await moveTo(task, found.region);
  const ref = { attempt, workerId: found.workerId };
  await task.apply({ type: "placed", workerId: found.workerId });
  if (await dispatch(task, ref)) return;
  const reason = "The worker left before it got the task.";
  await task.applyOfWorker(ref, { type: "released", reason, progress: null, dispatched: false });
}

/**
 * Waits for the worker that has the seat and is away. The worker may come back at any moment, so the task soon asks for
 * it again.
 */
async function waitBeside(
  task: TaskContext,
  { wakes, waitedMs }: { readonly wakes: number; readonly waitedMs: number },
): Promise<void> {
  if (waitedMs > MAX_AWAY_MS) return waitForSeat(task, wakes);
  await task.apply({ type: "noRoom", retryAtMs: Date.now() + AWAY_RETRY_MS });
}

/**
 * Sets the time at which the task looks for a worker again.
 *
 * @param waiting the number of tasks that wait in the region
 */
async function waitInQueue(
  task: TaskContext,
  { wakes, waiting }: { readonly wakes: number; readonly waiting: number },
): Promise<void> {
  const retryMs = Math.max(task.config.placeRetryMs, (waiting / RETRIES_A_SECOND) * 1000);
  await task.apply({ type: "noRoom", retryAtMs: Date.now() + (task.wakes === wakes ? retryMs : 0) });
}

/**
 * Moves the task to another region. The placement does not wait until the Directory has stored the new region for
 * listings.
 */
async function moveTo(task: TaskContext, region: string): Promise<void> {
  const { record } = task;
  if (record === undefined || !(await task.apply({ type: "movedTo", region }))) return;
  void directoryOf(task, record)
    .moved(record.taskId, region)
    .catch((thrown: unknown) => task.failed("new region not listed", thrown));
}

/** Ends the older tasks and waits for the seat, because this task cannot start on their worker while they play. */
async function waitForSeat(task: TaskContext, wakes: number): Promise<void> {
  await endReplaced(task, task.record?.replaces ?? []);
  const retryAtMs = Date.now() + (task.wakes === wakes ? SEAT_RETRY_MS : 0);
  await task.apply({ type: "noRoom", retryAtMs });
}

async function dispatch(task: TaskContext, ref: AttemptRef): Promise<boolean> {
  const opened = await openRequest(task);
  const request = opened === null ? null : await withFreshUserSig(opened, task.config.trtcApps, Date.now());
  const { record } = task;
  // If the task has ended while its request was opened, no worker may get it.
  if (record === undefined || request === null || !holds(record.state, ref)) return true;
  const { taskId, progress, paused, startedAtMs } = record;
  const resumes = progress !== null && request.Mode === "vod";
  return regionOf(task, record).dispatch({
    ...ref,
    taskId,
    request: startedAtMs === null ? request : leftOfMaxDuration(request, Date.now() - startedAtMs),
    resumeAtMs: resumes ? progress.positionMs : null,
    ...(resumes ? { resumeItem: progress.item, resumeSeenAtMs: progress.updatedAtMs } : {}),
    ...(paused ? { paused } : {}),
  });
}
