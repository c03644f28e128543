import { RoomcastError } from "@roomcast/shared";
import type { TaskRecord } from "./task-record.ts";

/** A task fails when this many workers were lost in quick succession while they had it. */
export const MAX_WORKERS_LOST = 4;

/**
 * If an attempt ran for this long, it is not held to have caused the loss of its worker. The count then starts again.
 */
export const HEALTHY_ATTEMPT_MS = 5 * 60_000;

/**
 * The unit of the delays after which the tasks of a lost worker look for their next worker. There is a delay from the
 * second loss on, and its range doubles with each loss.
 */
const SPREAD_MS = 1000;

type Losses = Pick<TaskRecord, "taskId" | "placedAtMs" | "workersLost">;

/**
 * Returns the number of workers that were lost in quick succession while they had a task, including the present loss.
 * Pure.
 */
export function workersLost({ placedAtMs, workersLost: before = 0 }: Losses, atMs: number): number {
  const ranMs = placedAtMs === undefined ? 0 : atMs - placedAtMs;
  return ranMs >= HEALTHY_ATTEMPT_MS ? 1 : before + 1;
}

/**
 * Returns how long a task waits before it looks for another worker, ms. Without this delay the tasks of a lost worker
 * would all move at once. The neighbours of a task that crashes workers would then move together with it each time, and
 * be quarantined with it. Pure.
 */
export function spreadMs({ taskId }: Pick<Losses, "taskId">, lost: number): number {
  if (lost < 2) return 0;
  let hash = 0;
  for (const character of taskId) hash = (hash * 31 + character.charCodeAt(0)) % 997;
  return Math.round((hash / 997) * SPREAD_MS * 2 ** (lost - 1));
}

/** Returns the error of a task that is no longer given to a worker. */
export function quarantine(lost: number, reason: string): RoomcastError {
  return new RoomcastError(
    "FailedOperation.TaskQuarantined",
    `${lost} workers were lost while they had this task, so it is given to no other one: its source may be what ended ` +
      `them. Look at the source, and at the workers' logs, before it is pushed again. The last one: ${reason}`,
  );
}
