import type { RegionList, WorkerList } from "@roomcast/shared";
import { isoTime } from "../../base/iso-time.ts";
import type { AppScope } from "../../model/app-scope.ts";
import { sdkAppIdOf } from "../../model/task-id.ts";
import type { RegionState } from "./region-state.ts";

/**
 * Returns a region's workers as the API shows them. A caller with a limited scope sees only the workers that have tasks
 * of its applications, and only the number of those tasks. The capacity and the load of the workers, which other
 * applications share, are not shown to this caller.
 */
export function showWorkers(regionState: RegionState, region: string, apps: AppScope): WorkerList["workers"] {
  const { assignments, measured } = regionState;
  const nowMs = Date.now();
  const tasks = new Map<string, number>();
  for (const { taskId, workerId } of assignments.all()) {
    if (isOf(apps, taskId)) tasks.set(workerId, (tasks.get(workerId) ?? 0) + 1);
  }
  const whole = apps === "*";
  const shown = regionState.workers().filter(({ workerId }) => whole || tasks.has(workerId));
  return shown.map((worker) => ({
    workerId: worker.workerId,
    region,
    version: worker.version,
    protocol: worker.protocol,
    draining: worker.draining,
    capacityUnits: whole ? worker.capacityUnits : 0,
    loadUnits: whole ? worker.loadUnits : 0,
    reservedUnits: whole ? assignments.reservedUnits(worker.workerId) : 0,
    cpuLoad: whole ? measured.said(worker.workerId, nowMs) : null,
    busy: whole && worker.busy,
    tasks: tasks.get(worker.workerId) ?? 0,
    connectedAt: isoTime(worker.connectedAtMs),
    lastSeenAt: isoTime(worker.lastSeenMs),
  }));
}

/** Returns the lost workers as the API shows them. */
export function showLostWorkers(regionState: RegionState, region: string): WorkerList["lost"] {
  return regionState.lostWorkers
    .list(Date.now(), regionState.config.workerGraceMs)
    .map(({ lostAtMs, ...worker }) => ({ ...worker, region, lostAt: isoTime(lostAtMs) }));
}

/** Returns a region as the API shows it. */
export function showRegion(regionState: RegionState, region: string, apps: AppScope): RegionList["regions"][number] {
  const workers = showWorkers(regionState, region, apps);
  const sum = (of: (worker: WorkerList["workers"][number]) => number) =>
    workers.reduce((total, worker) => total + of(worker), 0);
  return {
    region,
    workers: workers.length,
    draining: workers.filter(({ draining }) => draining).length,
    busy: workers.filter(({ draining, busy }) => busy && !draining).length,
    capacityUnits: sum(({ draining, capacityUnits }) => (draining ? 0 : capacityUnits)),
    loadUnits: sum(({ loadUnits }) => loadUnits),
    reservedUnits: sum(({ reservedUnits }) => reservedUnits),
    tasks: sum(({ tasks }) => tasks),
    waiting:
      apps === "*"
        ? regionState.waiting.count
        : regionState.waiting.ids().filter((taskId) => isOf(apps, taskId)).length,
  };
}

/**
 * Returns true if the task is shown to a caller who sees these applications. A task's id names its application. An id
 * from an older edge does not, so its task is shown only to a caller who sees all applications.
 */
function isOf(apps: AppScope, taskId: string): boolean {
  const sdkAppId = sdkAppIdOf(taskId);
  return apps === "*" || (sdkAppId !== null && apps.includes(sdkAppId));
}
