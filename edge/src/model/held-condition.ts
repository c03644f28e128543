import { type ActiveStateName, scfStatus, type TaskStateName, TERMINAL_STATES } from "@roomcast/shared";
import type { Condition } from "./task-filter.ts";

/** A task that a worker carries, as its region knows it. */
export interface HeldTask {
  readonly taskId: string;
  readonly workerId: string;
  readonly state: ActiveStateName;
}

export interface HeldFilter {
  readonly states?: readonly TaskStateName[] | undefined;
  readonly workerId?: string | undefined;
}

/**
 * Builds the conditions for tasks that are in one of these states and on this worker, as far as the filter names them. A
 * directory knows only whether a task runs. Its state and its worker are known to the worker's region, so the conditions list
 * the ids of the tasks. Pure.
 */
export function heldCondition({ states, workerId }: HeldFilter, held: readonly HeldTask[]): Condition[] {
  const conditions: Condition[] = [];
  if (workerId !== undefined) conditions.push(among(held.filter((task) => task.workerId === workerId)));
  if (states !== undefined) conditions.push(anyOf(states.map((state) => inState(state, held))));
  return conditions;
}

function inState(state: TaskStateName, held: readonly HeldTask[]): Condition {
  if (TERMINAL_STATES.some((name) => name === state)) return { where: "status = ?", bindings: [scfStatus(state)] };
  const { where, bindings } = among(state === "queued" ? held : held.filter((task) => task.state === state));
  return { where: `(status = 'RUNNING' AND ${state === "queued" ? "NOT " : ""}${where})`, bindings };
}

function among(tasks: readonly HeldTask[]): Condition {
  return {
    where: "task_id IN (SELECT value FROM json_each(?))",
    bindings: [JSON.stringify(tasks.map(({ taskId }) => taskId))],
  };
}

function anyOf(conditions: readonly Condition[]): Condition {
  return {
    where: `(${conditions.map(({ where }) => where).join(" OR ")})`,
    bindings: conditions.flatMap(({ bindings }) => bindings),
  };
}
