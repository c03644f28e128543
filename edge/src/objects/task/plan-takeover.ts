import { isActive, isTerminal } from "@roomcast/shared";
import type { GivesWay, SeatHolder } from "../../contracts/task-object.ts";
import { firstPlaceAtMs } from "../../model/task-times.ts";
import type { TaskRecord } from "./task-record.ts";

/** Where a task starts if other tasks hold its seat. */
export type Takeover =
  /** No task holds the seat. */
  | { readonly kind: "free" }
  /** On the worker of the tasks that hold the seat: it cuts from one to the other. */
  | { readonly kind: "beside"; readonly region: string; readonly workerId: string }
  /** Old and new cannot be on one worker: the old tasks end, then this one starts. */
  | { readonly kind: "after" };

export interface Newcomer {
  /** The region that the request asks for; null if any will do. */
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
    // This worker has refused the newcomer: it is asked again only when it has room.
    workerId !== newcomer.avoidWorkerId &&
    (newcomer.pinnedRegion ?? region) === region;
  return together ? { kind: "beside", region, workerId } : { kind: "after" };
}

/** Returns a task's answer to the one that takes its seat. Pure. */
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
 * @param left the tasks before the one that has answered, as far as the newcomer knows them
 */
export function leftToAsk(left: readonly string[], answer: GivesWay): readonly string[] {
  return answer.kind === "gone" ? left : answer.before;
}

/** True if a task waits for its start time. Pure. */
export function startsLater({ state, request }: TaskRecord, nowMs: number): boolean {
  return state.name === "queued" && firstPlaceAtMs(request, nowMs) > nowMs;
}

/** True if a task that was to be replaced continues, because its successor ended without taking the seat. Pure. */
export function continues({ state, stop, successor }: TaskRecord): boolean {
  return !isTerminal(state) && stop === null && successor === null;
}

/**
 * Ends a takeover: when the room sees the newer task, the tasks that it replaces are to be ended. It also replaces tasks of its
 * user in other rooms if its request asks for that. Pure.
 *
 * @returns the next record of the newer task, and the ids of the tasks to end
 */
export function endTakeover(record: TaskRecord): { readonly record: TaskRecord; readonly replaced: readonly string[] } {
  const { elsewhere = [], ...rest } = record;
  const replaced = [...record.replaces, ...elsewhere];
  // Before the task is in the room, nothing ends.
  if (replaced.length === 0 || record.state.name === "starting") return { record, replaced: [] };
  return { record: { ...rest, replaces: [] }, replaced };
}
