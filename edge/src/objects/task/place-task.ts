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

/** How soon a task that waits for its seat tries again. The end of the tasks that hold the seat wakes it earlier. */
const SEAT_RETRY_MS = 1000;
/** How long a task waits for an absent worker that has the seat, and that could play it beside the older task. */
const MAX_AWAY_MS = 2000;
const AWAY_RETRY_MS = 200;

/**
 * How often all waiting tasks of a region together look for a worker: the more tasks wait, the less often each one looks.
 * New room in the region wakes them in any case.
 */
const RETRIES_A_SECOND = 50;

/** Finds a worker, writes down which one it is, and only then hands it the task. */
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
    // The task was stopped while it looked for a worker.
    return task.env.REGION.getByName(found.region).forget(taskId, attempt);
  }
  // A neighbour region may have had the room: the task belongs to that region from now on.
  if (found.region !== task.record.region) await moveTo(task, found.region);
  const ref = { attempt, workerId: found.workerId };
  await task.apply({ type: "placed", workerId: found.workerId });
  if (await dispatch(task, ref)) return;
  const reason = "The worker left before it got the task.";
  await task.applyOfWorker(ref, { type: "released", reason, progress: null, dispatched: false });
}

/** The worker that has the seat is away. It may come back at once, so the task soon asks for it again. */
async function waitBeside(
  task: TaskContext,
  { wakes, waitedMs }: { readonly wakes: number; readonly waitedMs: number },
): Promise<void> {
  if (waitedMs > MAX_AWAY_MS) return waitForSeat(task, wakes);
  await task.apply({ type: "noRoom", retryAtMs: Date.now() + AWAY_RETRY_MS });
}

/** @param waiting how many tasks wait in the region */
async function waitInQueue(
  task: TaskContext,
  { wakes, waiting }: { readonly wakes: number; readonly waiting: number },
): Promise<void> {
  const retryMs = Math.max(task.config.placeRetryMs, (waiting / RETRIES_A_SECOND) * 1000);
  await task.apply({ type: "noRoom", retryAtMs: Date.now() + (task.wakes === wakes ? retryMs : 0) });
}

/** Moves the task to another region. Placing does not wait until the listing knows of it. */
async function moveTo(task: TaskContext, region: string): Promise<void> {
  const { record } = task;
  if (record === undefined || !(await task.apply({ type: "movedTo", region }))) return;
  void directoryOf(task, record)
    .moved(record.taskId, region)
    .catch((thrown: unknown) => task.failed("new region not listed", thrown));
}

/** The worker that has the seat cannot take this task too, so the older tasks end first. */
async function waitForSeat(task: TaskContext, wakes: number): Promise<void> {
  await endReplaced(task, task.record?.replaces ?? []);
  const retryAtMs = Date.now() + (task.wakes === wakes ? SEAT_RETRY_MS : 0);
  await task.apply({ type: "noRoom", retryAtMs });
}

async function dispatch(task: TaskContext, ref: AttemptRef): Promise<boolean> {
  const opened = await openRequest(task);
  const request = opened === null ? null : await withFreshUserSig(opened, task.config.trtcApps, Date.now());
  const { record } = task;
  // The task ended while its request was opened: no worker is to get it.
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
