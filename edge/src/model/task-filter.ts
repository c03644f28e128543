import type { ScfStatus, TaskEntry } from "@roomcast/shared";

/** Unix ms: closed at the start, open at the end. */
export interface Interval {
  readonly fromMs: number;
  readonly beforeMs: number;
}

/** Which tasks are meant; null: whichever. */
export interface TaskFilter {
  readonly taskId: string | null;
  readonly statuses: readonly ScfStatus[] | null;
  readonly created: Interval | null;
  /** A task that has not ended is in no such interval. */
  readonly ended: Interval | null;
  /** Of an integer room or a string room, as a text. */
  readonly room?: string | undefined;
  readonly userId?: string | undefined;
  readonly region?: string | undefined;
  /** Of the error that it has failed with. */
  readonly errorCode?: string | undefined;
  /** Accepted by then and not ended yet, Unix ms. */
  readonly runningAtMs?: number | undefined;
  /** More that holds of them: see `heldCondition`. */
  readonly held?: readonly Condition[] | undefined;
}

export interface ListQuery extends TaskFilter {
  readonly orderBy: "created" | "ended" | "duration";
  readonly order: "asc" | "desc";
  /** At most this many of the first, whatever the caller skips of them. */
  readonly limit: number;
}

export type ListedTask = TaskEntry;

export interface Condition {
  readonly where: string;
  readonly bindings: readonly (string | number)[];
}

/** What all tasks of a filter have in common, but for the status: they are counted by it. */
export function conditionOf(filter: Omit<TaskFilter, "statuses">): Condition {
  const { taskId, created, ended, room, userId, region, errorCode, runningAtMs, held = [] } = filter;
  const parts: Condition[] = [...held];
  // The id of a room is stored as JSON: an integer as it is, a text in quotes.
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

/** What every task fulfils. */
export const ALL_TASKS: Condition = { where: "1", bindings: [] };

export function allOf(parts: readonly Condition[]): Condition {
  const some = parts.filter(({ where }) => where !== ALL_TASKS.where);
  if (some.length === 0) return ALL_TASKS;
  return { where: some.map(({ where }) => where).join(" AND "), bindings: some.flatMap(({ bindings }) => bindings) };
}

/** A task that runs ends after all that have ended, and has run longest. */
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

/** The order as SQL; `inOrder` is the same order. */
export function orderSql({ orderBy, order }: Pick<ListQuery, "orderBy" | "order">): string {
  const direction = order === "asc" ? "ASC" : "DESC";
  return [KEYS[orderBy].sql, "created_at_ms", "task_id"].map((key) => `${key} ${direction}`).join(", ");
}

/** Which tasks come after one in an order. */
export function afterCondition({ orderBy, order }: Pick<ListQuery, "orderBy" | "order">, task: ListedTask): Condition {
  const where = `(${KEYS[orderBy].sql}, created_at_ms, task_id) ${order === "asc" ? ">" : "<"} (?, ?, ?)`;
  return { where, bindings: [KEYS[orderBy].of(task), createdMs(task), task.taskId] };
}

/** Compares two listed tasks of any directories. */
export function inOrder({ orderBy, order }: Pick<ListQuery, "orderBy" | "order">) {
  const sign = order === "asc" ? 1 : -1;
  const key = KEYS[orderBy].of;
  return (a: ListedTask, b: ListedTask): number =>
    sign * (key(a) - key(b) || createdMs(a) - createdMs(b) || (a.taskId < b.taskId ? -1 : Number(a.taskId > b.taskId)));
}
