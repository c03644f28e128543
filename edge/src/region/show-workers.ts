import type { RegionList, WorkerList } from "@roomcast/shared";
import { time } from "../task/show-task.ts";
import type { Fleet } from "./fleet.ts";

/** What the API shows of a region's workers. */
export function showWorkers(fleet: Fleet, region: string): WorkerList["workers"] {
  const { assignments } = fleet;
  const tasks = new Map<string, number>();
  for (const { workerId } of assignments.all()) tasks.set(workerId, (tasks.get(workerId) ?? 0) + 1);
  return fleet.sockets.ready().map((worker) => ({
    workerId: worker.workerId,
    instanceId: worker.instanceId,
    region,
    version: worker.version,
    protocol: worker.protocol,
    draining: fleet.isDraining(worker),
    capacityUnits: worker.capacityUnits,
    loadUnits: worker.loadUnits,
    reservedUnits: assignments.reservedUnits(worker.workerId),
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
    capacityUnits: sum(({ draining, capacityUnits }) => (draining ? 0 : capacityUnits)),
    loadUnits: sum(({ loadUnits }) => loadUnits),
    reservedUnits: sum(({ reservedUnits }) => reservedUnits),
    tasks: sum(({ tasks }) => tasks),
    waiting: fleet.waiting.count,
  };
}
