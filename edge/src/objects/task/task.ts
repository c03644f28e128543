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
import type { RoomWord } from "../../model/room-word.ts";
import { endReplaced } from "./claim-seat.ts";
import { type DueTask, handleDeadline } from "./handle-deadline.ts";
import { nextDeadline } from "./next-deadline.ts";
import { givesWay, goesOn, startsLater } from "./plan-takeover.ts";
import { afterRoomWord } from "./room-sight.ts";
import { showTask } from "./show-task.ts";
import { newestProgress, regionOf } from "./task-context.ts";
import { TaskLog } from "./task-log.ts";
import { newRecord, type TaskRecord, withProgress } from "./task-record.ts";

import {
  applyControlEvent,
  applyWorkerEvent,
  type ControlEvent,
  type Decision,
  type Effect,
  hasHeld,
  holds,
  type StopWorker,
} from "./task-transition.ts";

import { TaskUpdater } from "./task-updater.ts";

import { upgradeRecord } from "./upgrade-record.ts";

const RETRY_MS = 1000;
/** A pass of the alarm meets at most this many deadlines, so that a mistake cannot make it spin. */
const MAX_DEADLINES_A_PASS = 20;

/** One task: the only owner of its truth. What is decided stands in task-transition.ts and next-deadline.ts. */
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
  readonly #core = this.#newCore();
  readonly #updater = new TaskUpdater(this.#core, this.ctx.storage);
  /** Whatever reads the request and sends or writes it afterwards does so one after another. */
  readonly #turns = new SerialQueue();

  /**
   * Writes a new task; placing follows on the alarm. `successor`: a newer task that is about to take its seat, so that
   * this one has ended already. Creating it again changes nothing.
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
    await this.#write(record);
    if (successor !== null) await this.#control({ type: "giveWay", successor });
  }

  exists(): boolean {
    return this.#record !== undefined;
  }

  /** The task as the API shows it, with the newest progress that its region knows; null: there is none. */
  async view(): Promise<TaskView | null> {
    const record = this.#record;
    if (record === undefined || !isActive(record.state)) return record === undefined ? null : showTask(record);
    const progress = await newestProgress(this.#core, record);
    return showTask(withProgress(this.#record ?? record, progress, record.state.attempt));
  }

  /** @param maxCharacters of all messages; where there are more, the newest lines are given, and `cut` says so */
  logs(maxCharacters = Number.POSITIVE_INFINITY): (TaskLogs & { readonly cut?: true }) | null {
    if (this.#record === undefined) return null;
    const { lines, isCut } = this.#log.lines(maxCharacters);
    const shown = lines.map(({ atMs, attempt, level, message }) => ({ at: isoTime(atMs), attempt, level, message }));
    return { taskId: this.#record.taskId, lines: shown, ...(isCut ? { cut: true } : {}) };
  }

  /** Asks the task to end. Idempotent: an ended one stays as it ended. Null: there is none. */
  async stop(how: StopHow, reason: string): Promise<TaskView | null> {
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
    const asked = await this.#turns.run("request", () => this.#updater.ask(change));
    const error = await asked.outcome;
    if (error !== null) return { kind: "refused", error };
    const task = await this.view();
    return task === null ? null : { kind: "changed", task };
  }

  /** A worker's answer to a change. What the change made of the push is written down when this returns. */
  updated(ref: AttemptRef, updateId: string, error: ErrorBody | null): Promise<void> {
    return this.#turns.run("request", () => this.#updater.answered(ref, updateId, error));
  }

  /**
   * A newer task takes the seat. Who is on a worker plays on until the newer one is ready there; who is not ends now.
   * A dispatch that is under way is waited for, so that workers hear of the two in this order.
   *
   * @param where the newer one may be the same user's in another room: one that starts later is not in its way
   */
  async giveWay(successor: string, where: "seat" | "otherRoom" = "seat"): Promise<GivesWay> {
    if (where === "otherRoom" && this.#record !== undefined && startsLater(this.#record, Date.now())) {
      return { kind: "over", before: [] };
    }
    // Before its turn, which may be spent on asking those before it: the newer one does that itself then.
    if (this.#record?.state.name === "queued") await this.#control({ type: "giveWay", successor });
    return this.#turns.run("request", async () => {
      // Tasks of one seat are created in their order: this one was deleted.
      if (this.#record === undefined) return { kind: "gone" };
      await this.#control({ type: "giveWay", successor });
      return givesWay(this.#record);
    });
  }

  /** The newer task has come to nothing. True: this one has the seat again. */
  async stay(successor: string): Promise<boolean> {
    await this.#control({ type: "stay", successor });
    return this.#record !== undefined && goesOn(this.#record);
  }

  /** False also of a task that is still to be created. */
  hasEnded(): boolean {
    return this.#record !== undefined && isTerminal(this.#record.state);
  }

  /** Something happened in the task's room. */
  async roomSays(word: RoomWord): Promise<void> {
    const record = this.#record;
    if (record === undefined || isTerminal(record.state)) return;
    // A task that is not in the room makes it anew when it comes.
    if (word.kind === "dismissed" && !isActive(record.state)) return;
    const room = afterRoomWord(record.room, word, Date.now());
    const isSeen = room.confirmedAtMs !== null;
    if (isSeen !== ((record.room?.confirmedAtMs ?? null) !== null)) {
      const line = isSeen
        ? ({ level: "info", message: "The room has the picture, as TRTC says." } as const)
        : ({ level: "warn", message: "The room does not have the picture any more, as TRTC says." } as const);
      this.#log.append(record.state.attempt, [{ atMs: Date.now(), ...line }]);
    }
    await this.#write({ ...record, room });
  }

  /** There may be room now. */
  async wake(): Promise<void> {
    this.#wakes += 1;
    await this.#control({ type: "woken" });
  }

  /** A worker's word about an attempt. It is written down when this returns. */
  async hear(ref: AttemptRef, event: WorkerEvent): Promise<WorkerAnswer> {
    if (this.#record === undefined) return { kind: "stale" };
    const decision = applyWorkerEvent(this.#record, ref, event, Date.now());
    if (decision.kind === "stale") return decision;
    if (event.type === "released") this.#noteLoss(ref, event.reason);
    await this.#carryOut(decision);
    return { kind: "holds", stop: this.#record.stop };
  }

  #noteLoss({ attempt, workerId }: AttemptRef, reason: string): void {
    const message = reason.includes(workerId) ? reason : `${reason} It was given to worker ${workerId}.`;
    this.#log.append(attempt, [{ atMs: Date.now(), level: "warn", message }]);
  }

  /**
   * Adds lines to the log; what the worker of an attempt that was taken back still has to say belongs to the task's
   * story too.
   */
  appendLogs(ref: AttemptRef, lines: readonly LogLine[]): void {
    if (this.#record === undefined || !hasHeld(this.#record, ref)) return;
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
    // What an older edge has left of a task that never was.
    if (this.#record === undefined) return this.ctx.storage.deleteAll();
    try {
      for (let met = 0; met < MAX_DEADLINES_A_PASS && this.#record !== undefined; met += 1) {
        const deadline = nextDeadline(this.#record, this.#config());
        if (deadline.atMs > Date.now()) break;
        await handleDeadline(this.#core, deadline.kind, this.#record);
      }
    } catch (thrown) {
      // The runtime gives up an alarm that throws again and again; a task may not be given up.
      this.#failed("deadline not met", thrown);
      await this.#putOff(Date.now() + RETRY_MS);
    }
    await this.#schedule();
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
    const decision = applyControlEvent(this.#record, event, Date.now());
    if (decision.kind === "changed") await this.#carryOut(decision);
  }

  async #carryOut(decision: Decision & { kind: "changed" }): Promise<void> {
    // Written first: what is sent below must be true even if this object dies now.
    await this.#write(decision.record);
    for (const effect of decision.effects) await this.#effect(decision.record, effect);
  }

  async #effect(record: TaskRecord, effect: Effect): Promise<void> {
    if (effect.type === "endReplaced") await endReplaced(this.#core, effect.taskIds);
    else await this.#stopWorker(record, effect);
  }

  async #stopWorker(record: TaskRecord, { type: _type, ...stop }: StopWorker): Promise<void> {
    await regionOf(this.#core, record)
      .stopTask({ taskId: record.taskId, ...stop })
      // The stop isoTime-out ends the task if the worker never hears of it.
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

  #newCore(): DueTask {
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
      put: (record) => this.#put(record),
      control: (event) => this.#control(event),
      hear: (ref, event) => this.hear(ref, event),
      inTurn: (job) => this.#turns.run("request", job),
      delete: () => this.#delete(),
      failed: (message, thrown) => this.#failed(message, thrown),
    };
  }

  #failed(message: string, thrown: unknown): undefined {
    console.error(message, { taskId: this.#record?.taskId, thrown: String(thrown) });
  }
}
