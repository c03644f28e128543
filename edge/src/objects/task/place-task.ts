import { expectedUnits, requiredProtocol } from "@roomcast/shared";
import type { AttemptRef, WorkerEvent } from "../../contracts/task-object.ts";
import { leftOfMaxDuration } from "../../model/task-times.ts";
import { claimSeat, endReplaced } from "./claim-seat.ts";
import { withFreshUserSig } from "./fresh-user-sig.ts";
import { openRequest } from "./sealed-request.ts";
import { directoryOf, regionOf, type TaskCore } from "./task-context.ts";
import type { TaskRecord } from "./task-record.ts";
import { holds } from "./task-transition.ts";

/** The first version whose workers begin a push that stands still. */
const PROTOCOL_WITH_PAUSE = 2;

/** Looked for again after this, where a task waits for others to leave its seat; their end wakes it earlier. */
const SEAT_RETRY_MS = 1000;
/** A worker that has the seat and is away may come back within this, and take the task beside the one that it plays. */
const AWAY_PATIENCE_MS = 2000;
const AWAY_RETRY_MS = 200;

/** Of all tasks that wait in a region: where many do, each looks again more seldom. Room in the region wakes them anyway. */
const RETRIES_A_SECOND = 50;

export interface PlacedTask extends TaskCore {
  /** Grows with each wake-up, so that one which comes while the task looks for a place is not missed. */
  readonly wakes: number;
  /** A worker's word about an attempt, or what is known of it without one. */
  hear(ref: AttemptRef, event: WorkerEvent): Promise<unknown>;
}

/** Finds a worker, writes down who it is, and only then hands it the task. */
export async function placeTask(core: PlacedTask): Promise<void> {
  const { wakes } = core;
  const takeover = await claimSeat(core);
  const { record } = core;
  if (record?.state.name !== "queued") return;
  if (takeover.kind === "after") return waitForSeat(core, wakes);
  if (takeover.kind === "beside" && record.region !== takeover.region) {
    await regionOf(core, record).forget(record.taskId, record.state.attempt);
    await move(core, core.record ?? record, takeover.region);
  }
  const { taskId, plan, request, paused, avoidWorkerId } = record;
  const { attempt } = record.state;
  const asked = core.record ?? record;
  const found = await regionOf(core, asked).reserve({
    taskId,
    attempt,
    region: asked.region,
    pinned: request.Region !== undefined,
    protocol: paused ? Math.max(PROTOCOL_WITH_PAUSE, requiredProtocol(request)) : requiredProtocol(request),
    units: expectedUnits(plan, request),
    avoidWorkerId,
    onlyWorkerId: takeover.kind === "beside" ? takeover.workerId : null,
  });
  if (found.kind === "noRoom" && takeover.kind === "beside") {
    const awayMs = Date.now() - record.waitingSinceMs;
    if (awayMs > AWAY_PATIENCE_MS) return waitForSeat(core, wakes);
    return core.control({ type: "noRoom", retryAtMs: Date.now() + AWAY_RETRY_MS });
  }
  if (found.kind === "noRoom") {
    const nowMs = Date.now();
    const retryMs = Math.max(core.config.placeRetryMs, (found.waiting / RETRIES_A_SECOND) * 1000);
    return core.control({ type: "noRoom", retryAtMs: core.wakes === wakes ? nowMs + retryMs : nowMs });
  }
  if (core.record?.state.name !== "queued" || core.record.state.attempt !== attempt) {
    // Stopped while it looked for a place.
    return core.env.REGION.getByName(found.region).forget(taskId, attempt);
  }
  if (found.region !== core.record.region) {
    // It has found room in a neighbour region, and lives there from now on.
    await move(core, core.record, found.region);
  }
  const ref = { attempt, workerId: found.workerId };
  await core.control({ type: "placed", workerId: found.workerId });
  if (await dispatch(core, ref)) return;
  const reason = "The worker left before it got the task.";
  await core.hear(ref, { type: "released", reason, progress: null, dispatched: false });
}

/** Writes down where a task lives. Placing does not wait until the listing has heard of it. */
async function move(core: TaskCore, record: TaskRecord, region: string): Promise<void> {
  await core.put({ ...record, region });
  void directoryOf(core, record)
    .moved(record.taskId, region)
    .catch((thrown: unknown) => core.failed("new region not listed", thrown));
}

/** The worker that has the seat cannot take this task too: the seat is left first. */
async function waitForSeat(core: PlacedTask, wakes: number): Promise<void> {
  await endReplaced(core, core.record?.replaces ?? []);
  const retryAtMs = Date.now() + (core.wakes === wakes ? SEAT_RETRY_MS : 0);
  await core.control({ type: "noRoom", retryAtMs });
}

async function dispatch(core: TaskCore, ref: AttemptRef): Promise<boolean> {
  const opened = await openRequest(core);
  const request = opened === null ? null : await withFreshUserSig(opened, core.config.trtcApps, Date.now());
  const { record } = core;
  // It has ended meanwhile: nobody waits for the dispatch.
  if (record === undefined || request === null || !holds(record.state, ref)) return true;
  const { taskId, progress, paused, startedAtMs } = record;
  const resumes = progress !== null && request.Mode === "vod";
  return regionOf(core, record).dispatch({
    ...ref,
    taskId,
    request: startedAtMs === null ? request : leftOfMaxDuration(request, Date.now() - startedAtMs),
    resumeAtMs: resumes ? progress.positionMs : null,
    ...(resumes ? { resumeItem: progress.item, resumeSeenAtMs: progress.updatedAtMs } : {}),
    ...(paused ? { paused } : {}),
  });
}
