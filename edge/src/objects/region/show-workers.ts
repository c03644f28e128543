import type { RegionList, WorkerList } from "@roomcast/shared";
import type { AppScope } from "../../model/app-scope.ts";
import { sdkAppIdOf } from "../../model/task-id.ts";
import { time } from "../task/show-task.ts";
import type { Fleet } from "./region-state.ts";

/**
 * What the API shows of a region's workers. Of a part of the fleet: the workers that carry tasks of these applications,
 * with no more than those; how much they carry for others, and how they are, is not these applications' to know.
 */
export function showWorkers(fleet: Fleet, region: string, apps: AppScope): WorkerList["workers"] {
  const { assignments, measured } = fleet;
  const nowMs = Date.now();
  const tasks = new Map<string, number>();
  for (const { taskId, workerId } of assignments.all()) {
    if (isOf(apps, taskId)) tasks.set(workerId, (tasks.get(workerId) ?? 0) + 1);
  }
  const whole = apps === "*";
  const shown = fleet.workers().filter(({ workerId }) => whole || tasks.has(workerId));
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
    connectedAt: time(worker.connectedAtMs),
    lastSeenAt: time(worker.lastSeenMs),
  }));
}

/** What the API shows of workers that were lost. */
export function showLostWorkers(fleet: Fleet, region: string): WorkerList["lost"] {
  return fleet.lostWorkers
    .list(Date.now(), fleet.config.workerGraceMs)
    .map(({ lostAtMs, ...worker }) => ({ ...worker, region, lostAt: time(lostAtMs) }));
}

/** What the API shows of a region. */
export function showRegion(fleet: Fleet, region: string, apps: AppScope): RegionList["regions"][number] {
  const workers = showWorkers(fleet, region, apps);
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
    waiting: apps === "*" ? fleet.waiting.count : fleet.waiting.ids().filter((taskId) => isOf(apps, taskId)).length,
  };
}

/** The id of a task says its application; one that an older edge has made says none, and is shown to who sees all. */
function isOf(apps: AppScope, taskId: string): boolean {
  const sdkAppId = sdkAppIdOf(taskId);
  return apps === "*" || (sdkAppId !== null && apps.includes(sdkAppId));
}
