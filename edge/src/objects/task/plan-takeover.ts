import { isActive, isTerminal } from "@roomcast/shared";
import type { GivesWay, SeatHolder } from "../../contracts/task-object.ts";
import { firstPlaceAtMs } from "../../model/task-times.ts";
import type { TaskRecord } from "./task-record.ts";

/** Where a task starts whose seat others hold. */
export type Takeover =
  /** Nobody is in the seat. */
  | { readonly kind: "free" }
  /** Beside those who hold the seat: the worker cuts from one to the other. */
  | { readonly kind: "beside"; readonly region: string; readonly workerId: string }
  /** They cannot be on one worker: those end, then this one starts. */
  | { readonly kind: "after" };

export interface Newcomer {
  /** Where it must be played; null: anywhere. */
  readonly pinnedRegion: string | null;
  readonly avoidWorkerId: string | null;
}

/** How a task takes the seat of those who hold it. Pure. */
export function planTakeover(holders: readonly SeatHolder[], newcomer: Newcomer): Takeover {
  const [first, ...others] = holders;
  if (first === undefined) return { kind: "free" };
  const { region, workerId } = first;
  const together =
    others.every((other) => other.workerId === workerId && other.region === region) &&
    !holders.some(({ stopping }) => stopping) &&
    // It has refused the newcomer: it is asked again only when there is room.
    workerId !== newcomer.avoidWorkerId &&
    (newcomer.pinnedRegion ?? region) === region;
  return together ? { kind: "beside", region, workerId } : { kind: "after" };
}

/** How a task stands to the one that takes its seat. Pure. */
export function givesWay(record: TaskRecord): GivesWay {
  const { state, taskId, stop, replaces: before } = record;
  if (!isActive(state)) return { kind: "over", before };
  const { region, workerId } = state.holder;
  return { kind: "holds", before, taskId, region, workerId, stopping: stop !== null };
}

/**
 * Whom to ask next, the newest first. Each task knows those before it, and forgets those that it has found to be over.
 * So many pushes for one seat ask each other a few things each, instead of each all before it. Pure.
 *
 * @param left those before the one that has answered, as far as the newcomer knows them
 */
export function leftToAsk(left: readonly string[], answer: GivesWay): readonly string[] {
  return answer.kind === "gone" ? left : answer.before;
}

/** Whether a task waits for the time at which it is to start. Pure. */
export function startsLater({ state, request }: TaskRecord, nowMs: number): boolean {
  return state.name === "queued" && firstPlaceAtMs(request, nowMs) > nowMs;
}

/** Whether a task that was to be replaced goes on, because its successor has come to nothing. Pure. */
export function continues({ state, stop, successor }: TaskRecord): boolean {
  return !isTerminal(state) && stop === null && successor === null;
}
