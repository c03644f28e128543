import { DurableObject } from "cloudflare:workers";
import {
  isActive,
  isTerminal,
  type LogLine,
  type PushRequest,
  pushRequestSchema,
  RoomcastError,
  scfStatus,
  shownText,
  type TaskLogs,
  type TaskView,
} from "@roomcast/shared";
import { type Config, readConfig } from "../config.ts";
import type { Directory } from "../directory/directory.ts";
import type { Env } from "../env.ts";
import type { Region } from "../region/region.ts";
import { openSealed, seal } from "../seal.ts";
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
import { showTask, time } from "./show-task.ts";
import { TaskLog } from "./task-log.ts";
import { type NewTask, newRecord, type StopIntention, type TaskRecord } from "./task-record.ts";

/** A claim of a seat that is older than this was given up by the directory, or soon will be. */
export const CLAIM_HOLDS_MS = 15_000;

const RETRY_MS = 1000;
/** A pass of the alarm meets at most this many deadlines, so that a mistake cannot make it spin. */
const MAX_DEADLINES_A_PASS = 20;

/** What a worker's word comes to. `stop`: it has been asked to end. */
export type WorkerAnswer =
  | { readonly kind: "stale" }
  | { readonly kind: "holds"; readonly stop: Pick<StopIntention, "how" | "reason"> | null };

/** One task: the only owner of its truth. What is decided stands in decide.ts and next-deadline.ts. */
export class Task extends DurableObject<Env> {
  readonly #log = new TaskLog(this.ctx.storage.sql);
  #record: TaskRecord | undefined = this.ctx.storage.kv.get<TaskRecord>("task");
  /** Counts the wake-ups, so that one which comes while the task looks for a place is not missed. */
  #wakes = 0;

  /** Writes a new task; placing follows on the alarm. Creating it again changes nothing. False: the claim is too old. */
  async create(task: NewTask, claimedAtMs: number): Promise<boolean> {
    if (this.#record !== undefined) return true;
    const nowMs = Date.now();
    if (nowMs - claimedAtMs > CLAIM_HOLDS_MS) return false;
    this.#log.create();
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
        return this.#place(record);
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
        await this.ctx.storage.deleteAll();
        return;
    }
  }

  /** Finds a worker, writes down who it is, and only then hands it the task. */
  async #place(record: TaskRecord): Promise<void> {
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
    const resumes = ref.attempt > 1 && request.Mode === "vod";
    return this.#region(record).dispatch({
      ...ref,
      taskId: record.taskId,
      request,
      resumeAtMs: resumes ? (record.progress?.positionMs ?? null) : null,
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
    this.#record = record;
    this.ctx.storage.kv.put("task", record);
  }

  async #schedule(): Promise<void> {
    if (this.#record === undefined) return;
    const { atMs } = nextDeadline(this.#record, this.#config());
    await this.ctx.storage.setAlarm(Math.max(atMs, Date.now(), this.#record.retryAtMs));
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
