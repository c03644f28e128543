import type { ScfStatus, TaskEntry } from "@roomcast/shared";

/** A period in Unix ms that includes its start and excludes its end. */
export interface Interval {
  readonly fromMs: number;
  readonly beforeMs: number;
}

/** The tasks that a query selects. A field that is null or absent does not restrict the query. */
export interface TaskFilter {
  readonly taskId: string | null;
  readonly statuses: readonly ScfStatus[] | null;
  readonly created: Interval | null;
  /** A task that has not ended matches no interval. */
  readonly ended: Interval | null;
  /** The number of an integer room or the name of a string room, as a string. */
  readonly room?: string | undefined;
  readonly userId?: string | undefined;
  readonly region?: string | undefined;
  /** The code of the error that the task failed with. */
  readonly errorCode?: string | undefined;
  /** A time at which the task had been accepted and had not ended, Unix ms. */
  readonly runningAtMs?: number | undefined;
  /** Further conditions: see `heldCondition`. */
  readonly held?: readonly Condition[] | undefined;
}

export interface ListQuery extends TaskFilter {
  readonly orderBy: "created" | "ended" | "duration";
  readonly order: "asc" | "desc";
  /** The largest number of tasks to return, including those that the caller skips. */
  readonly limit: number;
}

export type ListedTask = TaskEntry;

export interface Condition {
  readonly where: string;
  readonly bindings: readonly (string | number)[];
}

/** Returns the condition of a filter apart from its statuses, because the number of tasks is also counted for each status. */
export function conditionOf(filter: Omit<TaskFilter, "statuses">): Condition {
  const { taskId, created, ended, room, userId, region, errorCode, runningAtMs, held = [] } = filter;
  const parts: Condition[] = [...held];
  // The id of a room is stored as JSON: an integer without quotes, a string in quotes.
  if (room !== undefined) parts.push({ where: "room IN (?, ?)", bindings: [room, JSON.stringify(room)] });
  if (userId !== undefined) parts.push({ where: "user_id = ?", bindings: [userId] });
  if (region !== undefined) parts.push({ where: "region = ?", bindings: [region] });
  if (errorCode !== undefined) {
    const where = "task_id IN (SELECT task_id FROM failure WHERE code = ?)";
    parts.push({ where, bindings: [errorCode] });
  }
  if (runningAtMs !== undefined) {
    const where = "created_at_ms <= ? AND (ended_at_ms IS NULL OR ended_at_ms > ?)";
    parts.push({ where, bindings: [runningAtMs, runningAtMs] });
  }
  if (taskId !== null) parts.push({ where: "task_id = ?", bindings: [taskId] });
  if (created !== null) parts.push(within("created_at_ms", created));
  if (ended !== null) parts.push(within("ended_at_ms", ended));
  return allOf(parts);
}

export function statusCondition(condition: Condition, statuses: readonly ScfStatus[] | null): Condition {
  if (statuses === null) return condition;
  const where = statuses.length === 0 ? "0" : `status IN (${statuses.map(() => "?").join(", ")})`;
  return allOf([condition, { where, bindings: statuses }]);
}

function within(column: "created_at_ms" | "ended_at_ms", { fromMs, beforeMs }: Interval): Condition {
  return { where: `${column} >= ? AND ${column} < ?`, bindings: [fromMs, beforeMs] };
}

/** A condition that every task meets. */
export const ALL_TASKS: Condition = { where: "1", bindings: [] };

export function allOf(parts: readonly Condition[]): Condition {
  const some = parts.filter(({ where }) => where !== ALL_TASKS.where);
  if (some.length === 0) return ALL_TASKS;
  return { where: some.map(({ where }) => where).join(" AND "), bindings: some.flatMap(({ bindings }) => bindings) };
}

/** The end of a running task for sorting: the task comes after all ended ones, and counts as the longest. */
const NOT_ENDED_MS = Number.MAX_SAFE_INTEGER;

const KEYS: Record<ListQuery["orderBy"], { readonly sql: string; readonly of: (task: ListedTask) => number }> = {
  created: { sql: "created_at_ms", of: createdMs },
  ended: { sql: `COALESCE(ended_at_ms, ${NOT_ENDED_MS})`, of: endedMs },
  duration: {
    sql: `COALESCE(ended_at_ms, ${NOT_ENDED_MS}) - created_at_ms`,
    of: (task) => endedMs(task) - createdMs(task),
  },
};

function createdMs({ createdAt }: ListedTask): number {
  return Date.parse(createdAt);
}

function endedMs({ endedAt }: ListedTask): number {
  return endedAt === null ? NOT_ENDED_MS : Date.parse(endedAt);
}

/** Writes an order in SQL. `inOrder` compares tasks by the same order. */
export function orderSql({ orderBy, order }: Pick<ListQuery, "orderBy" | "order">): string {
  const direction = order === "asc" ? "ASC" : "DESC";
  return [KEYS[orderBy].sql, "created_at_ms", "task_id"].map((key) => `${key} ${direction}`).join(", ");
}

/** Returns the condition for tasks that come after a given one in an order. */
export function afterCondition({ orderBy, order }: Pick<ListQuery, "orderBy" | "order">, task: ListedTask): Condition {
  const where = `(${KEYS[orderBy].sql}, created_at_ms, task_id) ${order === "asc" ? ">" : "<"} (?, ?, ?)`;
  return { where, bindings: [KEYS[orderBy].of(task), createdMs(task), task.taskId] };
}

/** Returns a function that compares two listed tasks, which may come from different directories. */
export function inOrder({ orderBy, order }: Pick<ListQuery, "orderBy" | "order">) {
  const sign = order === "asc" ? 1 : -1;
  const key = KEYS[orderBy].of;
  return (a: ListedTask, b: ListedTask): number =>
    sign * (key(a) - key(b) || createdMs(a) - createdMs(b) || (a.taskId < b.taskId ? -1 : Number(a.taskId > b.taskId)));
}
