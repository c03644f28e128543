import { DurableObject } from "cloudflare:workers";
import { parseSeatKey, SCF_STATUSES, type ScfStatus, type TaskList } from "@roomcast/shared";
import { isoTime } from "../../base/iso-time.ts";
import { migrate } from "../../base/migrate.ts";
import type {
  Accept,
  AcceptAnswer,
  DirectoryObject,
  EndedTask,
  RoomNews,
  UserSeat,
} from "../../contracts/directory-object.ts";
import type { Env } from "../../contracts/env.ts";
import { ROOT, type RootRegistry } from "../../contracts/root-registry.ts";
import type { RoomEvent } from "../../model/room-event.ts";
import {
  afterCondition,
  allOf,
  conditionOf,
  type ListedTask,
  type ListQuery,
  orderSql,
  statusCondition,
} from "../../model/task-filter.ts";
import { AcceptedTasks, type AddAccepted } from "./accepted-tasks.ts";
import { DIRECTORY_TABLES } from "./directory-tables.ts";
import { KnownNames } from "./known-names.ts";
import { RoomUsers } from "./room-users.ts";
import { TaskIndex } from "./task-index.ts";
import { TaskObjectCreator } from "./task-object-creator.ts";

/**
 * The age at which a claim of a seat is removed if it has no task. Older edges claimed a seat before they created the
 * task.
 */
const CHECK_CLAIM_AFTER_MS = 30_000;
/**
 * The time after which the alarm continues to create Task objects, in case this object was evicted before all were
 * created.
 */
const HAND_OVER_AGAIN_MS = 1000;
/** The most tasks of a user in other rooms that are read. For a warning, one task is enough. */
const MAX_ELSEWHERE = 8;
const RETRY_MS = 5000;

interface AcceptContext {
  /** The task that holds each seat, by the seat's key. It is updated as seats are taken. */
  readonly holders: Map<string, string>;
  readonly atMs: number;
  readonly add: AddAccepted;
}

/** The index of an application's tasks, the holders of its seats, and the tasks that do not have a Task object yet. */
export class Directory extends DurableObject<Env> implements DirectoryObject, RootRegistry {
  readonly #sql = this.ctx.storage.sql;
  readonly #index = new TaskIndex(this.#sql);
  readonly #roomUsers = new RoomUsers(this.#sql);
  readonly #names = new KnownNames(this.#sql);
  readonly #accepted: AcceptedTasks;
  readonly #creator: TaskObjectCreator;
  /** True if the root directory knows this application. */
  #announced = false;
  #alarmAtMs: number | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrate(ctx.storage, DIRECTORY_TABLES);
    this.#accepted = new AcceptedTasks(ctx.storage);
    this.#creator = new TaskObjectCreator({ env, accepted: this.#accepted, file: (upToSeq) => this.#file(upToSeq) });
    void ctx.blockConcurrencyWhile(async () => {
      this.#alarmAtMs = await ctx.storage.getAlarm();
    });
  }

  /**
   * Accepts up to 100 new tasks of one application, one after another. Each accepted task takes its seat, and is kept
   * here until its Task object exists. When this resolves, everything is stored; if it rejects, nothing is stored. If
   * the shape of `Accept` changes, this method has to be renamed: while a deploy is under way, a Worker of one version
   * and a Directory of another must not misread each other.
   *
   * @returns the answers to the tasks, in the order of the group
   */
  async acceptGroup(group: readonly Accept[]): Promise<readonly AcceptAnswer[]> {
    const [first] = group;
    if (first === undefined) return [];
    if (!this.#announced) await this.#announce(String(first.sdkAppId));
    const answers = this.#commit(group);
    // The object of a single task is created at once. If this Directory is evicted now, its alarm continues the work.
    if (answers.some(({ kind }) => kind === "accepted")) this.ctx.waitUntil(this.#creator.run());
    return answers;
  }

  /**
   * Registers the application with the root directory before its first task is stored, so that the list of all
   * applications is complete.
   */
  async #announce(sdkAppId: string): Promise<void> {
    if (!this.#names.has("self", sdkAppId)) {
      await this.env.DIRECTORY.getByName(ROOT).know("app", sdkAppId);
      this.#names.add("self", sdkAppId);
    }
    this.#announced = true;
  }

  #commit(group: readonly Accept[]): readonly AcceptAnswer[] {
    const atMs = Date.now();
    const answers = this.#accepted.transaction((add) => {
      const holders = this.#holdersOf(group);
      return group.map((accept) => this.#accept(accept, { holders, atMs, add }));
    });
    this.#creator.noteAccepted(answers.filter(({ kind }) => kind === "accepted").length, atMs);
    // The alarm is set in the same step, so it is part of the same commit.
    if (this.#accepted.size > 0) void this.#wakeAt(atMs + HAND_OVER_AGAIN_MS);
    return answers;
  }

  /** Returns the tasks that hold the seats which a group asks for, by the seats' keys. */
  #holdersOf(group: readonly Accept[]): Map<string, string> {
    if (group.some((accept) => this.#accepted.hasUnfiled(accept))) this.#file(Number.POSITIVE_INFINITY);
    return this.#index.holdersOf(group.map(({ seatKey }) => seatKey));
  }

  #accept(accept: Accept, { holders, atMs, add }: AcceptContext): AcceptAnswer {
    const { taskId, seatKey, region, startsAtMs, push, idempotency } = accept;
    const key = idempotency?.key ?? null;
    // Earlier pushes of the same group may have used the seat or the idempotency key, so they must be in the searched
    // tables.
    if (this.#accepted.hasUnfiled(accept)) this.#file(Number.POSITIVE_INFINITY);
    const before = key === null ? undefined : this.#index.keyUse(key);
    if (idempotency !== null && before !== undefined) {
      return idempotency.fingerprints.includes(before.fingerprint)
        ? { kind: "accepted", taskId: before.task_id }
        : { kind: "conflict" };
    }
    const holder = holders.get(seatKey) ?? null;
    if (holder !== null && holder !== accept.endedHolder && accept.onConflict === "reject") {
      return { kind: "taken", by: holder };
    }
    const elsewhere = this.#elsewhere(accept);
    const inTheWay = elsewhere.find((other) => Math.max(other.startsAtMs, startsAtMs) <= atMs);
    if (accept.otherRooms === "reject" && inTheWay !== undefined) {
      return { kind: "taken", by: inTheWay.taskId, elsewhere: inTheWay.seatKey };
    }
    const found = elsewhere.length === 0 ? {} : { elsewhere };
    const task = {
      taskId,
      seatKey,
      region,
      atMs,
      startsAtMs,
      holder,
      replaces: this.#index.runningFrom(holder),
      idempotency: idempotency === null ? null : { key: idempotency.key, fingerprint: idempotency.fingerprints[0] },
      ...found,
    };
    add(task, push);
    holders.set(seatKey, taskId);
    return { kind: "accepted", taskId, ...found };
  }

  /** Returns the same user's tasks in other rooms, up to the number that the request needs. */
  #elsewhere({ seatKey, otherRooms, endedHolder }: Accept): UserSeat[] {
    if (otherRooms === undefined) return [];
    const { userId } = parseSeatKey(seatKey);
    const limit = otherRooms === "warn" ? 1 : MAX_ELSEWHERE;
    const isOther = (seat: UserSeat) => seat.seatKey !== seatKey && seat.taskId !== endedHolder;
    const unfiled = this.#accepted.unfiledOfUser(userId).filter(isOther).take(limit);
    // The list is reversed, so that the map keeps the newest task of each seat. More tasks than the limit are read,
    // because the push's own seat and an ended task may be among them.
    const filed = this.#index.seatsOfUser(userId, 2 * limit + 2).toReversed();
    const seats = new Map(filed.map((seat) => [seat.seatKey, seat]));
    for (const { taskId, seatKey: of, startsAtMs } of unfiled) seats.set(of, { taskId, seatKey: of, startsAtMs });
    return [...seats.values()].filter(isOther).slice(-limit);
  }

  /** Writes the accepted tasks, up to this sequence number, into the tables that are searched. */
  #file(upToSeq: number): void {
    const unfiled = this.#accepted.unfiled(upToSeq);
    const last = unfiled.at(-1);
    if (last === undefined) return;
    this.ctx.storage.transactionSync(() => {
      for (const task of unfiled) this.#index.file(task);
      this.#accepted.filed(last.seq);
    });
  }

  /** Creates the object of a task that was accepted and has no object yet. */
  createObject(taskId: string): Promise<void> {
    return this.#creator.now(taskId);
  }

  /** Records an event that TRTC sent about a room of the application. */
  roomEvent(sdkAppId: number, event: RoomEvent): RoomNews {
    return this.ctx.storage.transactionSync(() => this.#roomUsers.record(sdkAppId, event));
  }

  /** Records that a task has moved to another region. */
  moved(taskId: string, region: string): void {
    this.#sql.exec("UPDATE task SET region = ? WHERE task_id = ?", region, taskId);
  }

  /** Records that a task has ended. Its seat goes to its heir or becomes free, unless a newer task has taken it. */
  ended(end: EndedTask): void {
    this.#file(Number.POSITIVE_INFINITY);
    this.ctx.storage.transactionSync(() => this.#index.ended(end));
  }

  /** Deletes everything that is stored here about a task. */
  forget(taskId: string): void {
    this.#file(Number.POSITIVE_INFINITY);
    this.ctx.storage.transactionSync(() => {
      this.#accepted.remove(taskId);
      this.#index.forget(taskId);
    });
  }

  /**
   * Returns the first tasks of a query, the number of matches on all pages, and for each status the number of tasks
   * that match the rest of the query.
   */
  list(query: ListQuery): { total: number; counts: TaskList["counts"]; tasks: ListedTask[] } {
    this.#file(Number.POSITIVE_INFINITY);
    const anyStatus = conditionOf(query);
    const counts = this.#index.counts(anyStatus);
    const wanted = SCF_STATUSES.filter((status) => query.statuses === null || query.statuses.includes(status));
    const total = wanted.reduce((sum, status) => sum + counts[status], 0);
    return { total, counts, tasks: this.#page(query) };
  }

  /** Returns the tasks of a query that come after the given task in the query's order. */
  listAfter(query: ListQuery, after: ListedTask): ListedTask[] {
    this.#file(Number.POSITIVE_INFINITY);
    return this.#page(query, after);
  }

  #page(query: ListQuery, after: ListedTask | null = null): ListedTask[] {
    const conditions = [conditionOf(query), ...(after === null ? [] : [afterCondition(query, after)])];
    const { where, bindings } = statusCondition(allOf(conditions), query.statuses);
    const rows = this.#sql.exec<TaskRow>(
      `SELECT * FROM task WHERE ${where} ORDER BY ${orderSql(query)} LIMIT ?`,
      ...bindings,
      query.limit,
    );
    return Array.from(rows, listed);
  }

  /** Checks that the storage can be written. Resolves once a value is on disk, and rejects with the cause otherwise. */
  async writes(): Promise<void> {
    this.ctx.storage.kv.put("written", Date.now());
    await this.ctx.storage.sync();
  }

  /** Adds a name to the root registry. */
  know(kind: "app" | "region", name: string): void {
    this.#names.add(kind, name);
  }

  /** Returns the names of one kind in the root registry. */
  known(kind: "app" | "region"): string[] {
    return this.#names.all(kind);
  }

  override async alarm(): Promise<void> {
    this.#alarmAtMs = null;
    await this.#creator.run();
    if (this.#accepted.size > 0) await this.#wakeAt(Date.now() + RETRY_MS);
    try {
      await this.#checkClaims();
    } catch (thrown) {
      console.error("claims not checked", { thrown: String(thrown) });
      await this.#wakeAt(Date.now() + RETRY_MS);
    }
  }

  /**
   * Removes rows whose task does not exist. A crash of an older edge, after it claimed a seat and before it created the
   * task, has left such rows.
   */
  async #checkClaims(): Promise<void> {
    const claims = this.#sql
      .exec<{ task_id: string }>(
        "SELECT task_id FROM task WHERE confirmed = 0 AND created_at_ms <= ?",
        Date.now() - CHECK_CLAIM_AFTER_MS,
      )
      .toArray();
    for (const { task_id } of claims) await this.#checkClaim(task_id);
    const oldest = this.#sql
      .exec<{ at: number | null }>("SELECT MIN(created_at_ms) AS at FROM task WHERE confirmed = 0")
      .one().at;
    if (oldest !== null) await this.#wakeAt(oldest + CHECK_CLAIM_AFTER_MS);
  }

  async #checkClaim(taskId: string): Promise<void> {
    if (await this.env.TASK.getByName(taskId).exists()) {
      this.#sql.exec("UPDATE task SET confirmed = 1 WHERE task_id = ?", taskId);
      return;
    }
    // If the task that held the seat before still runs, it gets its seat back.
    const [heir] = this.#index.runningFrom(this.#index.replacedBy(taskId));
    if (heir !== undefined) this.ctx.storage.transactionSync(() => this.#index.bequeath(taskId, heir));
    this.forget(taskId);
  }

  /**
   * Makes sure that the alarm comes at this time or earlier. An object has one alarm, so the alarm is only moved to an
   * earlier time.
   */
  async #wakeAt(atMs: number): Promise<void> {
    if (this.#alarmAtMs !== null && this.#alarmAtMs <= atMs) return;
    this.#alarmAtMs = atMs;
    await this.ctx.storage.setAlarm(atMs);
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
    createdAt: isoTime(row.created_at_ms),
    endedAt: row.ended_at_ms === null ? null : isoTime(row.ended_at_ms),
    SdkAppId: row.sdk_app_id,
    // SAFETY: `TaskIndex.file` wrote it from a room's id.
    room: JSON.parse(row.room) as number | string,
    UserId: row.user_id,
    region: row.region,
  };
}
