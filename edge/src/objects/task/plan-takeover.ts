import { isActive, isTerminal } from "@roomcast/shared";
import type { GivesWay, SeatHolder } from "../../contracts/task-object.ts";
import { firstPlaceAtMs } from "../../model/task-times.ts";
import type { TaskRecord } from "./task-record.ts";

/** The way in which a task starts if other tasks may hold its seat. */
export type Takeover =
  /** No task holds the seat. */
  | { readonly kind: "free" }
  /**
   * The task starts on the worker of the tasks that hold the seat, and this worker cuts from the old task to the new
   * one.
   */
  | { readonly kind: "beside"; readonly region: string; readonly workerId: string }
  /** The old tasks and the new one cannot be on one worker, so the old tasks end before the new one starts. */
  | { readonly kind: "after" };

export interface Newcomer {
  /** The region that the request asks for; null if any region will do. */
  readonly pinnedRegion: string | null;
  readonly avoidWorkerId: string | null;
}

/** Decides how a task takes the seat of the tasks that hold it. Pure. */
export function planTakeover(holders: readonly SeatHolder[], newcomer: Newcomer): Takeover {
  const [first, ...others] = holders;
  if (first === undefined) return { kind: "free" };
  const { region, workerId } = first;
  const together =
    others.every((other) => other.workerId === workerId && other.region === region) &&
    !holders.some(({ stopping }) => stopping) &&
    // The newcomer must not start on a worker that it avoids, for example because that worker has refused it.
    workerId !== newcomer.avoidWorkerId &&
    (newcomer.pinnedRegion ?? region) === region;
  return together ? { kind: "beside", region, workerId } : { kind: "after" };
}

/** Returns a task's answer to the newer task that takes its seat. Pure. */
export function givesWay(record: TaskRecord): GivesWay {
  const { state, taskId, stop, replaces: before } = record;
  if (!isActive(state)) return { kind: "over", before };
  const { region, workerId } = state.holder;
  return { kind: "holds", before, taskId, region, workerId, stopping: stop !== null };
}

/**
 * Returns the tasks to ask next, the newest first. Each task knows the tasks before it, and forgets those that it has
 * found to be over. So each of many pushes for one seat asks only a few others. Pure.
 *
 * @param left the tasks that the newcomer has still to ask, as far as it knows them, beginning with the one that has
 *   answered
 */
export function leftToAsk(left: readonly string[], answer: GivesWay): readonly string[] {
  return answer.kind === "gone" ? left : answer.before;
}

/** Returns true if a task waits for its start time. Pure. */
export function startsLater({ state, request }: TaskRecord, nowMs: number): boolean {
  return state.name === "queued" && firstPlaceAtMs(request, nowMs) > nowMs;
}

/**
 * Returns true if a task that was to be replaced continues, because its successor ended without taking the seat. Pure.
 */
export function continues({ state, stop, successor }: TaskRecord): boolean {
  return !isTerminal(state) && stop === null && successor === null;
}

/**
 * Completes a takeover if the room sees the newer task: the tasks that it replaces are then to be ended. These include
 * tasks of its user in other rooms if its request asks for that. Pure.
 *
 * @returns the next record of the newer task, and the ids of the tasks to end
 */
export function endTakeover(record: TaskRecord): { readonly record: TaskRecord; readonly replaced: readonly string[] } {
  const { elsewhere = [], ...rest } = record;
  const replaced = [...record.replaces, ...elsewhere];
  // While the task is still starting, the room does not see it, so no other task ends.
  if (replaced.length === 0 || record.state.name === "starting") return { record, replaced: [] };
  return { record: { ...rest, replaces: [] }, replaced };
}
