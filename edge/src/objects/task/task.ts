import { DurableObject } from "cloudflare:workers";
import {
  type ErrorBody,
  isActive,
  isTerminal,
  type LogLine,
  shownText,
  type TaskLogs,
  type TaskUpdate,
  type TaskView,
} from "@roomcast/shared";
import { type Config, readConfig } from "../../base/config.ts";
import { isoTime } from "../../base/iso-time.ts";
import { SerialQueue } from "../../base/serial-queue.ts";
import { TaskCallbacks } from "../../callback/task-callbacks.ts";
import type { Env } from "../../contracts/env.ts";
import type {
  AttemptRef,
  GivesWay,
  StopHow,
  TaskObject,
  TaskToCreate,
  UpdateAnswer,
  WorkerAnswer,
  WorkerEvent,
} from "../../contracts/task-object.ts";
import type { CallbackTarget } from "../../model/callback-target.ts";
import type { TaskRoomEvent } from "../../model/task-room-event.ts";
import { endReplaced } from "./claim-seat.ts";
import type { ControlEvent } from "./control-event.ts";
import { handleDeadline } from "./handle-deadline.ts";
import { nextDeadline } from "./next-deadline.ts";
import { PendingUpdates } from "./pending-updates.ts";
import { continues, givesWay, startsLater } from "./plan-takeover.ts";
import { showTask } from "./show-task.ts";
import { newestReport, regionOf, type TaskContext } from "./task-context.ts";
import { TaskLog } from "./task-log.ts";
import { newRecord, type TaskRecord, withProgress } from "./task-record.ts";
import {
  applyControlEvent,
  applyWorkerEvent,
  type Decision,
  type Effect,
  hasHeld,
  holds,
  type StopWorker,
} from "./task-transition.ts";
import { TaskUpdater } from "./task-updater.ts";
import { upgradeRecord } from "./upgrade-record.ts";

const RETRY_MS = 1000;
/** The most deadlines that one alarm handles, so that a mistake in the code cannot cause an endless loop. */
const MAX_DEADLINES_A_PASS = 20;

/**
 * The object of one task, and the only writer of the task's record. Every change is an event that `applyWorkerEvent` or
 * `applyControlEvent` turns into the next record and its effects. `nextDeadline` decides what the task does by itself,
 * and when.
 */
export class Task extends DurableObject<Env> implements TaskObject {
  readonly #log = new TaskLog(this.ctx.storage.sql);
  readonly #callbacks = new TaskCallbacks({
    ctx: this.ctx,
    env: this.env,
    schedule: () => this.#schedule(),
    warn: (message) =>
      this.#log.append(this.#record?.state.attempt ?? 1, [{ atMs: Date.now(), level: "warn", message }]),
  });
  #record: TaskRecord | undefined = this.#stored();
  #wakes = 0;
  readonly #context = this.#newContext();
  readonly #updater = new TaskUpdater(this.#context, new PendingUpdates(this.ctx.storage.kv));
  /** Runs one at a time the jobs that read the request and then send or store it. */
  readonly #requestJobs = new SerialQueue();

  /**
   * Stores a new task, which the alarm places afterwards. A second call changes nothing.
   *
   * If a newer task, the `successor`, is about to take the task's seat, the task ends at once.
   */
  async create(
    { successor = null, ...task }: TaskToCreate,
    acceptedAtMs: number,
    callbacks: CallbackTarget | null = null,
  ): Promise<void> {
    if (this.#record !== undefined) return;
    this.#log.create();
    if (callbacks !== null) this.#callbacks.create(callbacks);
    const record = newRecord(task, acceptedAtMs, Date.now());
    const warnings = record.warnings ?? [];
    if (warnings.length > 0) {
      this.#log.append(
        1,
        warnings.map(({ message, atMs }) => ({ atMs, level: "warn", message })),
      );
    }
    this.#put(record);
    await this.#schedule();
    if (successor !== null) await this.#apply({ type: "giveWay", successor });
  }

  exists(): boolean {
    return this.#record !== undefined;
  }

  /**
   * Returns the task as the API shows it, with the newest progress and plan that its region knows. Returns null if the
   * task does not exist.
   */
  async view(): Promise<TaskView | null> {
    const record = this.#record;
    if (record === undefined || !isActive(record.state)) return record === undefined ? null : showTask(record);
    const known = await newestReport(this.#context, record);
    return showTask(withProgress(this.#record ?? record, known));
  }

  /**
   * @param maxCharacters the limit for the total length of the messages; if they are longer, only the newest lines are
   *   returned, and `cut` is set
   */
  logs(maxCharacters = Number.POSITIVE_INFINITY): (TaskLogs & { readonly cut?: true }) | null {
    if (this.#record === undefined) return null;
    const { lines, isCut } = this.#log.lines(maxCharacters);
    const shown = lines.map(({ atMs, attempt, level, message }) => ({ at: isoTime(atMs), attempt, level, message }));
    return { taskId: this.#record.taskId, lines: shown, ...(isCut ? { cut: true } : {}) };
  }

  /** Asks the task to end. An ended task does not change. Returns null if the task does not exist. */
  async stop(how: StopHow, reason: string): Promise<TaskView | null> {
    if (this.#record === undefined) return null;
    await this.#apply({ type: "stopAsked", how, reason });
    return showTask(this.#record);
  }

  /**
   * Changes a push that runs or waits. Resolves when the room sees the change, or, if no worker has the push, when the
   * change is stored. The caller has checked the change with `taskUpdateSchema`. Resolves with null if the task does
   * not exist.
   */
  async update(change: TaskUpdate): Promise<UpdateAnswer | null> {
    if (this.#record === undefined) return null;
    const asked = await this.#requestJobs.run("request", () => this.#updater.ask(change));
    const error = await asked.outcome;
    if (error !== null) return { kind: "refused", error };
    const task = await this.view();
    return task === null ? null : { kind: "changed", task };
  }

  /** Handles a worker's answer to a change. When this resolves, the changed request is stored. */
  updated(ref: AttemptRef, updateId: string, error: ErrorBody | null): Promise<void> {
    return this.#requestJobs.run("request", () => this.#updater.answered(ref, updateId, error));
  }

  /**
   * Makes this task give its seat to a newer one, the successor. If a worker has this task, it keeps playing until the
   * successor is ready; otherwise it ends now. A dispatch that is under way completes first, so that the worker gets
   * the two tasks in order.
   *
   * @param where `otherRoom` if the newer task has the same user in another room; a task that only starts later is then
   *   left alone
   */
  async giveWay(successor: string, where: "seat" | "otherRoom" = "seat"): Promise<GivesWay> {
    if (where === "otherRoom" && this.#record !== undefined && startsLater(this.#record, Date.now())) {
      return { kind: "over", before: [] };
    }
    // A queued task gives way at once instead of waiting for the jobs before it, because one of them may be asking the
    // older tasks of the seat to give way. The newer task asks those tasks itself.
    if (this.#record?.state.name === "queued") await this.#apply({ type: "giveWay", successor });
    return this.#requestJobs.run("request", async () => {
      // Tasks of one seat are created in order, so a missing record means that this task was deleted.
      if (this.#record === undefined) return { kind: "gone" };
      await this.#apply({ type: "giveWay", successor });
      return givesWay(this.#record);
    });
  }

  /**
   * Gives the seat back to this task, because the newer task ended without taking it. Returns true if this task has the
   * seat again.
   */
  async returnSeat(successor: string): Promise<boolean> {
    await this.#apply({ type: "seatReturned", successor });
    return this.#record !== undefined && continues(this.#record);
  }

  /** Returns true if the task has ended. Returns false also if the task is not created yet. */
  hasEnded(): boolean {
    return this.#record !== undefined && isTerminal(this.#record.state);
  }

  /** Handles an event of the task's room. */
  async roomEvent(event: TaskRoomEvent): Promise<void> {
    await this.#apply({ type: "roomEvent", event });
  }

  /** Makes a waiting task look for a worker again, because a worker may have free capacity now. */
  async wake(): Promise<void> {
    this.#wakes += 1;
    await this.#apply({ type: "woken" });
  }

  /** Handles a worker's event of an attempt. When this resolves, the change is stored. */
  async workerEvent(ref: AttemptRef, event: WorkerEvent): Promise<WorkerAnswer> {
    if (this.#record === undefined) return { kind: "stale" };
    const decision = applyWorkerEvent(this.#record, ref, event, Date.now());
    if (decision.kind === "stale") return decision;
    await this.#carryOut(decision);
    return { kind: "holds", stop: this.#record.stop };
  }

  /** Adds lines to the log, including late lines of an attempt that was taken back. */
  appendLogs(ref: AttemptRef, lines: readonly LogLine[]): void {
    if (this.#record === undefined || !hasHeld(this.#record, ref)) return;
    this.#log.append(
      ref.attempt,
      // The worker has already removed the request's secrets. This removes anything else that looks like a secret.
      lines.map((line) => ({ ...line, message: shownText(line.message) })),
    );
  }

  /** Returns true if this worker holds this attempt. */
  holds(ref: AttemptRef): boolean {
    return this.#record !== undefined && holds(this.#record.state, ref);
  }

  override async alarm(): Promise<void> {
    if (this.#record !== undefined) this.#callbacks.send(this.#record);
    // If there is no record, the task was never created, but an older version of the edge may have left storage of it.
    if (this.#record === undefined) return this.ctx.storage.deleteAll();
    try {
      for (let handled = 0; handled < MAX_DEADLINES_A_PASS && this.#record !== undefined; handled += 1) {
        const deadline = nextDeadline(this.#record, this.#config());
        if (deadline.atMs > Date.now()) break;
        await handleDeadline(this.#context, deadline.kind, this.#record);
      }
    } catch (thrown) {
      // The runtime gives up an alarm that throws repeatedly, and the task would then never act again.
      this.#failed("handling a deadline failed", thrown);
      await this.#apply({ type: "putOff", retryAtMs: Date.now() + RETRY_MS });
    }
    await this.#schedule();
  }

  async #apply(event: ControlEvent): Promise<boolean> {
    if (this.#record === undefined) return false;
    const decision = applyControlEvent(this.#record, event, Date.now());
    if (decision.kind === "stale") return false;
    await this.#carryOut(decision);
    return true;
  }

  async #carryOut({ record, effects }: Decision & { kind: "changed" }): Promise<void> {
    // The record is stored before the effects are performed, so that what they send stays true even if this object dies
    // now.
    this.#put(record);
    await this.#schedule();
    for (const effect of effects) await this.#perform(record, effect);
  }

  async #perform(record: TaskRecord, effect: Effect): Promise<void> {
    switch (effect.type) {
      case "endReplaced":
        return endReplaced(this.#context, effect.taskIds);
      case "stopWorker":
        return this.#stopWorker(record, effect);
      case "logLineAdded": {
        const { attempt, level, message } = effect;
        this.#log.append(attempt, [{ atMs: Date.now(), level, message }]);
      }
    }
  }

  async #stopWorker(record: TaskRecord, { type: _type, ...stop }: StopWorker): Promise<void> {
    await regionOf(this.#context, record)
      .stopTask({ taskId: record.taskId, ...stop })
      // If the worker never gets this stop, the stop time-out ends the task.
      .catch((thrown: unknown) => this.#failed("could not pass the stop on to the region", thrown));
  }

  // The runtime's output gate holds back every answer and message until this write is on disk.
  #put(record: TaskRecord): void {
    const before = this.#record;
    this.#record = record;
    if (before !== undefined) this.#updater.recordChanged(before, record);
    this.ctx.storage.kv.put("task", record);
    this.#callbacks.record(record);
  }

  #stored(): TaskRecord | undefined {
    const stored = this.ctx.storage.kv.get<Parameters<typeof upgradeRecord>[0]>("task");
    return stored === undefined ? undefined : upgradeRecord(stored);
  }

  async #delete(): Promise<void> {
    this.#record = undefined;
    this.#callbacks.drop();
    await this.ctx.storage.deleteAll();
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

  #newContext(): TaskContext {
    const now = { record: () => this.#record, config: () => this.#config(), wakes: () => this.#wakes };
    return {
      env: this.env,
      get record() {
        return now.record();
      },
      get config() {
        return now.config();
      },
      get wakes() {
        return now.wakes();
      },
      apply: (event) => this.#apply(event),
      applyOfWorker: (ref, event) => this.workerEvent(ref, event),
      inTurn: (job) => this.#requestJobs.run("request", job),
      delete: () => this.#delete(),
      failed: (message, thrown) => this.#failed(message, thrown),
    };
  }

  #failed(message: string, thrown: unknown): undefined {
    console.error(message, { taskId: this.#record?.taskId, thrown: String(thrown) });
  }
}
