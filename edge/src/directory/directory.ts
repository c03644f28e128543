import { DurableObject } from "cloudflare:workers";
import { type Room, SCF_STATUSES, type ScfStatus, type TaskList } from "@roomcast/shared";
import type { Env } from "../env.ts";
import { migrate } from "../storage/migrate.ts";
import { time } from "../task/show-task.ts";
import { CLAIM_HOLDS_MS } from "../task/task.ts";
import { DIRECTORY_TABLES } from "./directory-tables.ts";
import { conditionOf, type ListedTask, type ListQuery, orderSql, statusCondition } from "./task-filter.ts";

/** The directory of this name knows which applications and regions there are. */
export const ROOT = "root";

/** A claim that is older than this is checked against its task. */
const CHECK_CLAIM_AFTER_MS = 2 * CLAIM_HOLDS_MS;
const RETRY_MS = 5000;

export interface Claim {
  readonly taskId: string;
  readonly sdkAppId: number;
  readonly seatKey: string;
  readonly room: Room;
  readonly userId: string;
  readonly region: string;
  /** Whether a task that holds the seat is replaced. */
  readonly onConflict: "replace" | "reject";
  /** A task that is known to have ended, though it may not have said so here yet: it never rejects a claim. */
  readonly endedHolder: string | null;
  readonly idempotency: {
    readonly key: string;
    /** Of the request, by each seal key, the newest first. */
    readonly fingerprints: readonly [string, ...string[]];
  } | null;
}

export type ClaimAnswer =
  /**
   * The seat is the task's; those that it `replaces` held it before, the newest first. The task is an earlier one where
   * the same request was made before with the same idempotency key.
   */
  | { readonly kind: "claimed"; readonly taskId: string; readonly atMs: number; readonly replaces: readonly string[] }
  /** Another task holds the seat, and the request does not want to replace it. */
  | { readonly kind: "taken"; readonly by: string }
  /** Another request was made with this idempotency key. */
  | { readonly kind: "conflict" };

export interface Ended {
  readonly taskId: string;
  readonly status: ScfStatus;
  readonly endedAtMs: number;
  /** The task that has the seat again, because this one ended before it had taken the seat over. */
  readonly heir: string | null;
}

/** The index of an application's tasks, and which task holds which seat. */
export class Directory extends DurableObject<Env> {
  readonly #sql = this.ctx.storage.sql;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrate(ctx.storage, DIRECTORY_TABLES);
  }

  /** Takes a seat for a new task, in one transaction. */
  async claim(claim: Claim): Promise<ClaimAnswer> {
    // Before the first task is written, so that no application with tasks is ever missing in the list of all.
    if (!this.#isKnown("self", String(claim.sdkAppId))) {
      await this.env.DIRECTORY.getByName(ROOT).know("app", String(claim.sdkAppId));
      this.know("self", String(claim.sdkAppId));
    }
    const atMs = Date.now();
    const answer = this.ctx.storage.transactionSync(() => this.#claim(claim, atMs));
    if (answer.kind === "claimed" && (await this.ctx.storage.getAlarm()) === null) {
      await this.ctx.storage.setAlarm(atMs + CHECK_CLAIM_AFTER_MS);
    }
    return answer;
  }

  #claim(claim: Claim, atMs: number): ClaimAnswer {
    const { taskId, seatKey, idempotency } = claim;
    const before = idempotency === null ? undefined : this.#keyUse(idempotency.key);
    if (idempotency !== null && before !== undefined) {
      return idempotency.fingerprints.includes(before.fingerprint)
        ? this.#claimed(before.task_id)
        : { kind: "conflict" };
    }
    const holder = this.#holderOf(seatKey);
    if (holder !== null && holder !== claim.endedHolder && claim.onConflict === "reject") {
      return { kind: "taken", by: holder };
    }
    if (idempotency !== null) {
      this.#sql.exec(
        "INSERT INTO idempotency (key, fingerprint, task_id) VALUES (?, ?, ?)",
        idempotency.key,
        idempotency.fingerprints[0],
        taskId,
      );
    }
    this.#sql.exec("INSERT OR REPLACE INTO seat (seat_key, task_id) VALUES (?, ?)", seatKey, taskId);
    this.#sql.exec(
      `INSERT INTO task (task_id, sdk_app_id, seat_key, room, user_id, region, status, created_at_ms, replaced)
       VALUES (?, ?, ?, ?, ?, ?, 'RUNNING', ?, ?)`,
      taskId,
      claim.sdkAppId,
      seatKey,
      JSON.stringify(claim.room.id),
      claim.userId,
      claim.region,
      atMs,
      holder,
    );
    return this.#claimed(taskId);
  }

  #keyUse(key: string): { fingerprint: string; task_id: string } | undefined {
    return this.#sql
      .exec<{ fingerprint: string; task_id: string }>("SELECT fingerprint, task_id FROM idempotency WHERE key = ?", key)
      .toArray()[0];
  }

  #holderOf(seatKey: string): string | null {
    const seats = this.#sql.exec<{ task_id: string }>("SELECT task_id FROM seat WHERE seat_key = ?", seatKey);
    return seats.toArray()[0]?.task_id ?? null;
  }

  #claimed(taskId: string): ClaimAnswer {
    const { atMs } = this.#sql
      .exec<{ atMs: number }>("SELECT created_at_ms AS atMs FROM task WHERE task_id = ?", taskId)
      .one();
    return { kind: "claimed", taskId, atMs, replaces: this.#replacedBy(taskId) };
  }

  /** Those before a task that have not ended, as far as is known here: they may all be about to take one seat. */
  #replacedBy(taskId: string): string[] {
    return this.#sql
      .exec<{ task_id: string }>(
        `WITH RECURSIVE before (task_id, depth) AS (
           SELECT replaced, 1 FROM task WHERE task_id = ?
           UNION ALL
           SELECT task.replaced, depth + 1 FROM before JOIN task USING (task_id) WHERE task.status = 'RUNNING')
         SELECT task_id FROM before JOIN task USING (task_id) WHERE task.status = 'RUNNING' ORDER BY depth`,
        taskId,
      )
      .toArray()
      .map(({ task_id }) => task_id);
  }

  /** A task has ended: its seat is its heir's, or free, unless a newer task has taken it. */
  ended({ taskId, status, endedAtMs, heir }: Ended): void {
    this.ctx.storage.transactionSync(() => {
      this.#sql.exec(
        "UPDATE task SET status = ?, ended_at_ms = ?, confirmed = 1 WHERE task_id = ?",
        status,
        endedAtMs,
        taskId,
      );
      if (heir !== null) this.#bequeath(taskId, heir);
      this.#sql.exec("DELETE FROM seat WHERE task_id = ?", taskId);
    });
  }

  /** The seat goes from one task to another if that has not ended either. */
  #bequeath(taskId: string, heir: string): void {
    this.#sql.exec(
      `UPDATE seat SET task_id = ?2 WHERE task_id = ?1
         AND EXISTS (SELECT 1 FROM task WHERE task_id = ?2 AND status = 'RUNNING')`,
      taskId,
      heir,
    );
  }

  /** Deletes everything of a task. */
  forget(taskId: string): void {
    this.ctx.storage.transactionSync(() => {
      this.#sql.exec("DELETE FROM task WHERE task_id = ?", taskId);
      this.#sql.exec("DELETE FROM seat WHERE task_id = ?", taskId);
      this.#sql.exec("DELETE FROM idempotency WHERE task_id = ?", taskId);
      this.#sql.exec("UPDATE task SET replaced = NULL WHERE replaced = ?", taskId);
    });
  }

  /** The first tasks of a query; how many match it on all pages; and by status, how many match it but for the status. */
  list(query: ListQuery): { total: number; counts: TaskList["counts"]; tasks: ListedTask[] } {
    const anyStatus = conditionOf(query);
    const counts = { RUNNING: 0, FINISHED: 0, FAILED: 0, ABORTED: 0 };
    for (const { status, n } of this.#sql.exec<{ status: ScfStatus; n: number }>(
      `SELECT status, COUNT(*) AS n FROM task WHERE ${anyStatus.where} GROUP BY status`,
      ...anyStatus.bindings,
    )) {
      counts[status] = n;
    }
    const wanted = SCF_STATUSES.filter((status) => query.statuses === null || query.statuses.includes(status));
    const total = wanted.reduce((sum, status) => sum + counts[status], 0);
    const { where, bindings } = statusCondition(anyStatus, query.statuses);
    const rows = this.#sql
      .exec<TaskRow>(`SELECT * FROM task WHERE ${where} ORDER BY ${orderSql(query)} LIMIT ?`, ...bindings, query.limit)
      .toArray();
    return { total, counts, tasks: rows.map(listed) };
  }

  know(kind: "app" | "region" | "self", name: string): void {
    this.#sql.exec("INSERT OR IGNORE INTO known (kind, name) VALUES (?, ?)", kind, name);
  }

  /** Names of one kind that this directory has been told of. */
  known(kind: "app" | "region"): string[] {
    const rows = this.#sql.exec<{ name: string }>("SELECT name FROM known WHERE kind = ? ORDER BY name", kind);
    return rows.toArray().map(({ name }) => name);
  }

  /** A crash between claim and create leaves a row without a task: it is found and taken back here. */
  override async alarm(): Promise<void> {
    try {
      const olderThanMs = Date.now() - CHECK_CLAIM_AFTER_MS;
      const claims = this.#sql
        .exec<{ task_id: string }>("SELECT task_id FROM task WHERE confirmed = 0 AND created_at_ms <= ?", olderThanMs)
        .toArray();
      for (const { task_id } of claims) await this.#checkClaim(task_id);
    } catch (thrown) {
      console.error("claims not checked", { thrown: String(thrown) });
      await this.ctx.storage.setAlarm(Date.now() + RETRY_MS);
      return;
    }
    const oldest = this.#sql
      .exec<{ at: number | null }>("SELECT MIN(created_at_ms) AS at FROM task WHERE confirmed = 0")
      .one().at;
    if (oldest !== null) await this.ctx.storage.setAlarm(oldest + CHECK_CLAIM_AFTER_MS);
  }

  async #checkClaim(taskId: string): Promise<void> {
    if (await this.env.TASK.getByName(taskId).exists()) {
      this.#sql.exec("UPDATE task SET confirmed = 1 WHERE task_id = ?", taskId);
      return;
    }
    this.ctx.storage.transactionSync(() => {
      // The task that held the seat before still runs: it gets its seat back.
      const [heir] = this.#replacedBy(taskId);
      if (heir !== undefined) this.#bequeath(taskId, heir);
      this.forget(taskId);
    });
  }

  #isKnown(kind: string, name: string): boolean {
    return this.#sql.exec("SELECT 1 FROM known WHERE kind = ? AND name = ?", kind, name).toArray().length > 0;
  }
}

type TaskRow = {
  task_id: string;
  sdk_app_id: number;
  room: string;
  user_id: string;
  region: string;
  status: ScfStatus;
  created_at_ms: number;
  ended_at_ms: number | null;
};

function listed(row: TaskRow): ListedTask {
  return {
    taskId: row.task_id,
    status: row.status,
    createdAt: time(row.created_at_ms),
    endedAt: row.ended_at_ms === null ? null : time(row.ended_at_ms),
    SdkAppId: row.sdk_app_id,
    // SAFETY: written by `#claim` from a room's id.
    room: JSON.parse(row.room) as number | string,
    UserId: row.user_id,
    region: row.region,
  };
}
