import type { WorkerList } from "@roomcast/shared";
import { time } from "../task/show-task.ts";
import type { Assignments } from "./assignments.ts";
import type { ReadySocket } from "./worker-sockets.ts";

/** What the API shows of a region's workers. */
export function showWorkers(
  workers: readonly ReadySocket[],
  assignments: Assignments,
  region: string,
): WorkerList["workers"] {
  const tasks = new Map<string, number>();
  for (const { workerId } of assignments.all()) tasks.set(workerId, (tasks.get(workerId) ?? 0) + 1);
  return workers.map((worker) => ({
    workerId: worker.workerId,
    instanceId: worker.instanceId,
    region,
    version: worker.version,
    draining: worker.draining,
    capacityUnits: worker.capacityUnits,
    loadUnits: worker.loadUnits,
    reservedUnits: assignments.reservedUnits(worker.workerId),
    tasks: tasks.get(worker.workerId) ?? 0,
    connectedAt: time(worker.connectedAtMs),
    lastSeenAt: time(worker.lastSeenMs),
  }));
}
