import type { RegionList, WorkerList } from "@roomcast/shared";
import { time } from "../task/show-task.ts";
import type { Fleet } from "./fleet.ts";

/** What the API shows of a region's workers. */
export function showWorkers(fleet: Fleet, region: string): WorkerList["workers"] {
  const { assignments, measured } = fleet;
  const nowMs = Date.now();
  const tasks = new Map<string, number>();
  for (const { workerId } of assignments.all()) tasks.set(workerId, (tasks.get(workerId) ?? 0) + 1);
  return fleet.workers().map((worker) => ({
    workerId: worker.workerId,
    instanceId: worker.instanceId,
    region,
    version: worker.version,
    protocol: worker.protocol,
    draining: worker.draining,
    capacityUnits: worker.capacityUnits,
    loadUnits: worker.loadUnits,
    reservedUnits: assignments.reservedUnits(worker.workerId),
    cpuLoad: measured.said(worker.workerId, nowMs),
    busy: worker.busy,
    tasks: tasks.get(worker.workerId) ?? 0,
    connectedAt: time(worker.connectedAtMs),
    lastSeenAt: time(worker.lastSeenMs),
  }));
}

/** What the API shows of a region. */
export function showRegion(fleet: Fleet, region: string): RegionList["regions"][number] {
  const workers = showWorkers(fleet, region);
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
    waiting: fleet.waiting.count,
  };
}
