import { RoomcastError } from "@roomcast/shared";
import type { TaskRecord } from "./task-record.ts";

/** A task under which this many workers were lost is not given to another one. */
export const MAX_WORKERS_LOST = 4;

/** An attempt that ran for this long did not cause the loss of its worker: the count starts again. */
export const HEALTHY_ATTEMPT_MS = 5 * 60_000;

/** From the second loss on, tasks that shared a worker look for the next one at different times, doubled each time. */
const SPREAD_MS = 1000;

type Losses = Pick<TaskRecord, "taskId" | "placedAtMs" | "workersLost">;

/** Returns how many workers were lost under a task in quick succession, including the one that is lost now. Pure. */
export function workersLost({ placedAtMs, workersLost: before = 0 }: Losses, atMs: number): number {
  const ranMs = placedAtMs === undefined ? 0 : atMs - placedAtMs;
  return ranMs >= HEALTHY_ATTEMPT_MS ? 1 : before + 1;
}

/**
 * Returns how long a task waits before it is given to another worker. The tasks of a lost worker all move at once. If a
 * task that crashes workers always moved together with its neighbours, they would be quarantined with it. Pure.
 */
export function spreadMs({ taskId }: Pick<Losses, "taskId">, lost: number): number {
  if (lost < 2) return 0;
  let hash = 0;
  for (const character of taskId) hash = (hash * 31 + character.charCodeAt(0)) % 997;
  return Math.round((hash / 997) * SPREAD_MS * 2 ** (lost - 1));
}

/** The error of a task that is no longer given to a worker. */
export function quarantine(lost: number, reason: string): RoomcastError {
  return new RoomcastError(
    "FailedOperation.TaskQuarantined",
    `${lost} workers were lost while they had this task, so it is given to no other one: its source may be what ended ` +
      `them. Look at the source, and at the workers' logs, before it is pushed again. The last one: ${reason}`,
  );
}
