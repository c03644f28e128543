import { DurableObject } from "cloudflare:workers";
import {
  type ErrorBody,
  isActive,
  isTerminal,
  type LogLine,
  type PushRequest,
  pushRequestSchema,
  RoomcastError,
  scfStatus,
  shownRequest,
  shownText,
  type TaskLogs,
  type TaskUpdate,
  type TaskView,
  taskUpdateSchema,
} from "@roomcast/shared";
import type { CallbackTarget } from "../callback/outbox.ts";
import { TaskCallbacks } from "../callback/task-callbacks.ts";
import { type Config, readConfig } from "../config.ts";
import type { Directory } from "../directory/directory.ts";
import type { Env } from "../env.ts";
import type { Region } from "../region/region.ts";
import { SerialQueue } from "../region/serial-queue.ts";
import { openSealed, seal } from "../seal.ts";
import { applyUpdate } from "./apply-update.ts";
import {
  type AttemptRef,
  type ControlEvent,
  type Decision,
  decideForControl,
  decideForWorker,
  holds,
  type StopWorker,
  type WorkerEvent,
} from "./decide.ts";
import { expectedUnits } from "./expected-units.ts";
import { type DeadlineKind, nextDeadline } from "./next-deadline.ts";
import { PendingUpdates } from "./pending-updates.ts";
import { showTask, time } from "./show-task.ts";
import { TaskLog } from "./task-log.ts";
import { type NewTask, newRecord, type StopIntention, type TaskRecord } from "./task-record.ts";
import { ATTEMPT_OVER, MAX_PENDING_UPDATES, refusalOfUpdate, UPDATE_LATE, WORKER_AWAY } from "./update-refusal.ts";
import { upgradeRecord } from "./upgrade-record.ts";

/** A claim of a seat that is older than this was given up by the directory, or soon will be. */
export const CLAIM_HOLDS_MS = 15_000;

const RETRY_MS = 1000;
/** A pass of the alarm meets at most this many deadlines, so that a mistake cannot make it spin. */
const MAX_DEADLINES_A_PASS = 20;

/** What a worker's word comes to. `stop`: it has been asked to end. */
export type WorkerAnswer =
  | { readonly kind: "stale" }
  | { readonly kind: "holds"; readonly stop: Pick<StopIntention, "how" | "reason"> | null };

/** What became of a change that was asked for. */
export type UpdateAnswer =
  | { readonly kind: "changed"; readonly task: TaskView }
  /** All is as it was, and why. */
  | { readonly kind: "refused"; readonly error: ErrorBody };

/** One task: the only owner of its truth. What is decided stands in decide.ts and next-deadline.ts. */
export class Task extends DurableObject<Env> {
  readonly #log = new TaskLog(this.ctx.storage.sql);
  readonly #callbacks = new TaskCallbacks({
    ctx: this.ctx,
    env: this.env,
    schedule: () => this.#schedule(),
    warn: (message) =>
      this.#log.append(this.#record?.state.attempt ?? 1, [{ atMs: Date.now(), level: "warn", message }]),
  });
  readonly #updates = new PendingUpdates(this.ctx.storage.kv);
  /** Whatever reads the request and sends or writes it afterwards does so one after another. */
  readonly #turns = new SerialQueue();
  #record: TaskRecord | undefined = this.#stored();
  /** Counts the wake-ups, so that one which comes while the task looks for a place is not missed. */
  #wakes = 0;

  /** Writes a new task; placing follows on the alarm. Creating it again changes nothing. False: the claim is too old. */
  async create(task: NewTask, claimedAtMs: number, callbacks: CallbackTarget | null = null): Promise<boolean> {
    if (this.#record !== undefined) return true;
    const nowMs = Date.now();
    if (nowMs - claimedAtMs > CLAIM_HOLDS_MS) return false;
    this.#log.create();
    if (callbacks !== null) this.#callbacks.create(callbacks);
    await this.#write(newRecord(task, nowMs));
    return true;
  }

  exists(): boolean {
    return this.#record !== undefined;
  }

  /** The task as the API shows it, with the newest progress that its region knows; null: there is none. */
  async view(): Promise<TaskView | null> {
    const record = this.#record;
    if (record === undefined || !isActive(record.state)) return record === undefined ? null : showTask(record);
    const { attempt } = record.state;
    const progress = await this.#region(record)
      .progress(record.taskId, attempt)
      .catch((thrown: unknown) => this.#failed("progress not read", thrown));
    const now = this.#record ?? record;
    const newest = progress && now.state.attempt === attempt && isActive(now.state) ? { ...now, progress } : now;
    return showTask(newest);
  }

  logs(): TaskLogs | null {
    if (this.#record === undefined) return null;
    const lines = this.#log
      .lines()
      .map(({ atMs, attempt, level, message }) => ({ at: time(atMs), attempt, level, message }));
    return { taskId: this.#record.taskId, lines };
  }

  /** Asks the task to end. Idempotent: an ended one stays as it ended. Null: there is none. */
  async stop(how: StopIntention["how"], reason: string): Promise<TaskView | null> {
    if (this.#record === undefined) return null;
    await this.#control({ type: "stopAsked", how, reason });
    return showTask(this.#record);
  }

  /**
   * Changes a push while it runs, or before; resolves when the room sees the change. The caller has checked it by
   * `taskUpdateSchema`. Null: there is no such task.
   */
  async update(change: TaskUpdate): Promise<UpdateAnswer | null> {
    if (this.#record === undefined) return null;
    const asked = await this.#turns.run("request", () => this.#askForUpdate(change));
    const error = await asked.answer;
    if (error !== null) return { kind: "refused", error };
    const task = await this.view();
    return task === null ? null : { kind: "changed", task };
  }

  /** A worker's answer to a change. What the change made of the push is written down when this returns. */
  updated(ref: AttemptRef, updateId: string, error: ErrorBody | null): Promise<void> {
    return this.#turns.run("request", async () => {
      const pending = this.#updates.get(updateId);
      if (pending === undefined || pending.attempt !== ref.attempt || !this.holds(ref)) return;
      if (error === null) await this.#change(await this.#opened(pending.sealedChange));
      this.#updates.settle(updateId, error === null ? null : { ...error, message: shownText(error.message) });
    });
  }

  /** There may be room now. */
  async wake(): Promise<void> {
    this.#wakes += 1;
    await this.#control({ type: "woken" });
  }

  /** A worker's word about an attempt. It is written down when this returns. */
  async hear(ref: AttemptRef, event: WorkerEvent): Promise<WorkerAnswer> {
    if (this.#record === undefined) return { kind: "stale" };
    const decision = decideForWorker(this.#record, ref, event, Date.now());
    if (decision.kind === "stale") return decision;
    await this.#carryOut(decision);
    return { kind: "holds", stop: this.#record.stop };
  }

  /** Adds lines to the log; lines of an attempt that was taken back belong to the task's story too. */
  appendLogs(ref: AttemptRef, lines: readonly LogLine[]): void {
    if (this.#record === undefined || ref.attempt > this.#record.state.attempt) return;
    this.#log.append(
      ref.attempt,
      // The worker has cut the request's secrets out; what looks like one is cut out here once more.
      lines.map((line) => ({ ...line, message: shownText(line.message) })),
    );
  }

  /** Whether this worker holds this attempt. */
  holds(ref: AttemptRef): boolean {
    return this.#record !== undefined && holds(this.#record.state, ref);
  }

  override async alarm(): Promise<void> {
    if (this.#record !== undefined) this.#callbacks.send(this.#record);
    try {
      for (let met = 0; met < MAX_DEADLINES_A_PASS && this.#record !== undefined; met += 1) {
        const deadline = nextDeadline(this.#record, this.#config());
        if (deadline.atMs > Date.now()) break;
        await this.#meet(deadline.kind, this.#record);
      }
    } catch (thrown) {
      // The runtime gives up an alarm that throws again and again; a task may not be given up.
      this.#failed("deadline not met", thrown);
      await this.#putOff(Date.now() + RETRY_MS);
    }
    await this.#schedule();
  }

  async #meet(kind: DeadlineKind, record: TaskRecord): Promise<void> {
    const config = this.#config();
    switch (kind) {
      case "place":
        return this.#turns.run("request", () => this.#place());
      case "queueTimeout": {
        const waitedMs = Date.now() - record.waitingSinceMs;
        const workers = await this.#region(record)
          .workerCount()
          .catch((thrown: unknown) => this.#failed("workers not counted", thrown));
        return this.#control({ type: "queueTimeout", workers: workers ?? null, waitedMs });
      }
      case "acceptTimeout":
      case "stopTimeout":
        return this.#control({ type: kind });
      case "executionTimeout":
        return this.#control({ type: kind, limitMs: config.executionTimeoutMs });
      case "silence":
        return this.#askRegion(record);
      case "settle":
        return this.#settle(record);
      case "retention":
        await this.#directory(record).forget(record.taskId);
        this.#record = undefined;
        this.#callbacks.drop();
        await this.ctx.storage.deleteAll();
        return;
    }
  }

  /** Finds a worker, writes down who it is, and only then hands it the task. */
  async #place(): Promise<void> {
    const record = this.#record;
    if (record?.state.name !== "queued") return;
    const { taskId } = record;
    if (record.replaces !== null) {
      const old = this.env.TASK.getByName(record.replaces);
      const replaced = await old.stop("now", `replaced by ${taskId}`);
      await this.#put({ ...(this.#record ?? record), replaces: null, preferWorkerId: replaced?.workerId ?? null });
    }
    const region = this.#region(record);
    const { attempt } = record.state;
    const wakes = this.#wakes;
    const found = await region.reserve({
      taskId,
      attempt,
      units: expectedUnits(record.plan),
      preferWorkerId: this.#record?.preferWorkerId ?? null,
      avoidWorkerId: record.avoidWorkerId,
    });
    const nowMs = Date.now();
    if (found === null) {
      const retryAtMs = this.#wakes === wakes ? nowMs + this.#config().placeRetryMs : nowMs;
      return this.#control({ type: "noRoom", retryAtMs });
    }
    if (this.#record?.state.name !== "queued" || this.#record.state.attempt !== attempt) {
      // Stopped while it looked for a place.
      return region.forget(taskId, attempt);
    }
    const ref = { attempt, workerId: found.workerId };
    await this.#control({ type: "placed", workerId: found.workerId });
    const sent = await this.#dispatch(ref);
    if (!sent)
      await this.hear(ref, { type: "released", reason: "The worker left before it got the task.", progress: null });
  }

  async #dispatch(ref: AttemptRef): Promise<boolean> {
    const record = this.#record;
    if (record === undefined || record.sealedRequest === null || !holds(record.state, ref)) return false;
    const request = await this.#openRequest(record.sealedRequest, record.taskId);
    if (request === null) return true;
    const { progress, paused } = record;
    const resumes = progress !== null && request.Mode === "vod";
    return this.#region(record).dispatch({
      ...ref,
      taskId: record.taskId,
      request,
      resumeAtMs: resumes ? progress.positionMs : null,
      ...(resumes ? { resumeItem: progress.item } : {}),
      ...(paused ? { paused } : {}),
    });
  }

  /** Asks the worker; a push that no worker has is changed at once. `answer` resolves with what went wrong, or null. */
  async #askForUpdate(change: TaskUpdate): Promise<{ readonly answer: ErrorBody | null | Promise<ErrorBody | null> }> {
    const record = this.#record;
    if (record === undefined) return { answer: null };
    const refusal = refusalOfUpdate(record);
    if (refusal !== null) return { answer: refusal };
    if (!isActive(record.state)) {
      await this.#change(change);
      return { answer: this.#record === undefined ? null : refusalOfUpdate(this.#record) };
    }
    if (this.#updates.size >= MAX_PENDING_UPDATES.count) return { answer: MAX_PENDING_UPDATES.error };
    const { sealKeys, updateTimeoutMs } = this.#config();
    const { taskId, state } = record;
    const ref = { attempt: state.attempt, workerId: state.holder.workerId };
    const sealedChange = await seal(change, sealKeys, taskId);
    if (!this.holds(ref)) return { answer: ATTEMPT_OVER };
    const updateId = crypto.randomUUID();
    const answer = this.#updates.add(
      updateId,
      { attempt: ref.attempt, sealedChange },
      { ms: updateTimeoutMs, late: UPDATE_LATE },
    );
    const sent = await this.#region(record)
      .updateTask({ taskId, ...ref, updateId, change })
      .catch((thrown: unknown) => this.#failed("change not passed on", thrown));
    if (sent !== true) this.#updates.settle(updateId, WORKER_AWAY);
    return { answer };
  }

  async #opened(sealedChange: string): Promise<TaskUpdate> {
    const { value } = await openSealed(sealedChange, this.#config().sealKeys, this.#record?.taskId ?? "");
    return taskUpdateSchema.parse(value);
  }

  /** Writes a change that holds into the request, so that another attempt goes on with it. */
  async #change(change: TaskUpdate): Promise<void> {
    const before = this.#record;
    if (before === undefined || before.sealedRequest === null) return;
    const request = await this.#openRequest(before.sealedRequest, before.taskId);
    if (request === null) return;
    const { progress, paused } = this.#record ?? before;
    const after = applyUpdate({ request, progress, paused }, change, Date.now());
    const sealedRequest = await seal(after.request, this.#config().sealKeys, before.taskId);
    const now = this.#record;
    // It may have ended meanwhile: then its secrets stay dropped.
    if (now === undefined || now.sealedRequest === null) return;
    await this.#put({
      ...now,
      request: shownRequest(after.request),
      sealedRequest,
      progress: after.progress === progress ? now.progress : after.progress,
      paused: after.paused,
    });
  }

  /** Null: it cannot be opened, and the task has failed. */
  async #openRequest(sealed: string, taskId: string): Promise<PushRequest | null> {
    try {
      const { value, stale } = await openSealed(sealed, this.#config().sealKeys, taskId);
      if (stale) await this.#sealAnew(value, sealed);
      return pushRequestSchema.parse(value);
    } catch (thrown) {
      await this.#control({ type: "broken", error: RoomcastError.from(thrown).toBody() });
      return null;
    }
  }

  /** So that a key which was replaced can be dropped some day. */
  async #sealAnew(value: unknown, sealed: string): Promise<void> {
    const record = this.#record;
    if (record === undefined) return;
    const sealedRequest = await seal(value, this.#config().sealKeys, record.taskId);
    if (this.#record?.sealedRequest === sealed) await this.#put({ ...this.#record, sealedRequest });
  }

  async #askRegion(record: TaskRecord): Promise<void> {
    if (!isActive(record.state)) return;
    const ref = { attempt: record.state.attempt, workerId: record.state.holder.workerId };
    const held = await this.#region(record).holds(record.taskId, ref.attempt);
    if (held) return this.#put({ ...(this.#record ?? record), heardAtMs: Date.now() });
    await this.hear(ref, { type: "released", reason: "No worker has the task any more.", progress: null });
  }

  async #settle(record: TaskRecord): Promise<void> {
    const { state, taskId } = record;
    if (!isTerminal(state)) return;
    await this.#directory(record).ended({ taskId, status: scfStatus(state.name), endedAtMs: state.sinceMs });
    await this.#region(record).forget(taskId, state.attempt);
    await this.#put({ ...(this.#record ?? record), settled: true, retryAtMs: 0 });
  }

  /** Another object did not answer: what was due is due again later, and must not stand before the other deadlines. */
  async #putOff(retryAtMs: number): Promise<void> {
    const record = this.#record;
    if (record === undefined) return;
    const placeAtMs = record.placeAtMs === null ? null : Math.max(record.placeAtMs, retryAtMs);
    await this.#put({ ...record, placeAtMs, retryAtMs });
  }

  async #control(event: ControlEvent): Promise<void> {
    if (this.#record === undefined) return;
    const decision = decideForControl(this.#record, event, Date.now());
    if (decision.kind === "changed") await this.#carryOut(decision);
  }

  async #carryOut(decision: Decision & { kind: "changed" }): Promise<void> {
    // Written first: what is sent below must be true even if this object dies now.
    await this.#write(decision.record);
    for (const effect of decision.effects) await this.#stopWorker(decision.record, effect);
  }

  async #stopWorker(record: TaskRecord, { type: _type, ...stop }: StopWorker): Promise<void> {
    await this.#region(record)
      .stopTask({ taskId: record.taskId, ...stop })
      // The stop time-out ends the task if the worker never hears of it.
      .catch((thrown: unknown) => this.#failed("stop not passed on", thrown));
  }

  async #write(record: TaskRecord): Promise<void> {
    await this.#put(record);
    await this.#schedule();
  }

  // The output gate holds back every answer and message until this is on disk.
  async #put(record: TaskRecord): Promise<void> {
    const before = this.#record;
    this.#record = record;
    if (before !== undefined && isActive(before.state) && !holdsAsBefore(before, record)) {
      this.#updates.settleAll(refusalOfUpdate(record) ?? ATTEMPT_OVER);
    }
    this.ctx.storage.kv.put("task", record);
    this.#callbacks.record(record);
  }

  #stored(): TaskRecord | undefined {
    const stored = this.ctx.storage.kv.get<Parameters<typeof upgradeRecord>[0]>("task");
    return stored === undefined ? undefined : upgradeRecord(stored);
  }

  async #schedule(): Promise<void> {
    if (this.#record === undefined) return;
    const { atMs } = nextDeadline(this.#record, this.#config());
    const ownAtMs = Math.max(atMs, this.#record.retryAtMs);
    await this.ctx.storage.setAlarm(Math.max(Date.now(), Math.min(ownAtMs, this.#callbacks.nextAtMs)));
  }

  #config(): Config {
    return readConfig(this.env);
  }

  #region(record: TaskRecord): DurableObjectStub<Region> {
    return this.env.REGION.getByName(record.region);
  }

  #directory(record: TaskRecord): DurableObjectStub<Directory> {
    return this.env.DIRECTORY.getByName(String(record.request.SdkAppId));
  }

  #failed(message: string, thrown: unknown): undefined {
    console.error(message, { taskId: this.#record?.taskId, thrown: String(thrown) });
  }
}

/** Whether the attempt that ran still runs. */
function holdsAsBefore(before: TaskRecord, now: TaskRecord): boolean {
  return isActive(now.state) && now.state.attempt === before.state.attempt;
}
