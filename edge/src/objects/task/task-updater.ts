import { type ErrorBody, isActive, shownText, type TaskUpdate, taskUpdateSchema } from "@roomcast/shared";
import { openSealed, seal } from "../../base/seal.ts";
import type { AttemptRef } from "../../contracts/task-object.ts";
import type { PendingUpdates } from "./pending-updates.ts";
import { writeChange } from "./sealed-request.ts";
import { regionOf, type TaskContext } from "./task-context.ts";
import type { TaskRecord } from "./task-record.ts";
import { holds } from "./task-transition.ts";
import {
  ATTEMPT_OVER,
  MAX_PENDING_UPDATES,
  refusalOfUpdate,
  UPDATE_LATE,
  WORKER_AWAY,
  WORKER_TOO_OLD,
} from "./update-refusal.ts";

/** The error of a change; null if the change was made. */
type UpdateOutcome = ErrorBody | null;

/** Makes changes to a push that runs or waits. */
export class TaskUpdater {
  readonly #task: TaskContext;
  readonly #pending: PendingUpdates;

  constructor(task: TaskContext, pending: PendingUpdates) {
    this.#task = task;
    this.#pending = pending;
  }

  /**
   * Starts a change. If a worker has the push, the worker is asked and answers later; otherwise the change is made at
   * once.
   */
  async ask(change: TaskUpdate): Promise<{ readonly outcome: UpdateOutcome | Promise<UpdateOutcome> }> {
    const { record } = this.#task;
    if (record === undefined) return { outcome: null };
    const refusal = refusalOfUpdate(record);
    if (refusal !== null) return { outcome: refusal };
    if (isActive(record.state)) {
      return this.#askWorker(change, { attempt: record.state.attempt, workerId: record.state.holder.workerId });
    }
    await writeChange(this.#task, change);
    return { outcome: this.#task.record === undefined ? null : refusalOfUpdate(this.#task.record) };
  }

  async #askWorker(change: TaskUpdate, ref: AttemptRef): ReturnType<TaskUpdater["ask"]> {
    const { sealKeys, updateTimeoutMs } = this.#task.config;
    if (this.#pending.count(Date.now()) >= MAX_PENDING_UPDATES.count) return { outcome: MAX_PENDING_UPDATES.error };
    const sealedChange = await seal(change, sealKeys, this.#task.record?.taskId ?? "");
    const { record } = this.#task;
    if (record === undefined || !holds(record.state, ref)) return { outcome: ATTEMPT_OVER };
    const updateId = crypto.randomUUID();
    const outcome = this.#pending.add(
      updateId,
      { attempt: ref.attempt, sealedChange, askedAtMs: Date.now() },
      { ms: updateTimeoutMs, late: UPDATE_LATE },
    );
    const sent = await regionOf(this.#task, record)
      .updateTask({ taskId: record.taskId, ...ref, updateId, change })
      .catch((thrown: unknown) => this.#task.failed("change not passed on", thrown));
    if (sent !== "asked") this.#pending.settle(updateId, sent === "tooOld" ? WORKER_TOO_OLD : WORKER_AWAY);
    return { outcome };
  }

  /** Handles the worker's answer. When this resolves, the changed request is stored. */
  async answered(ref: AttemptRef, updateId: string, error: UpdateOutcome): Promise<void> {
    const { record } = this.#task;
    const pending = this.#pending.get(updateId);
    if (record === undefined || pending?.attempt !== ref.attempt || !holds(record.state, ref)) return;
    if (error === null) {
      const { value } = await openSealed(pending.sealedChange, this.#task.config.sealKeys, record.taskId);
      await writeChange(this.#task, taskUpdateSchema.parse(value));
    }
    this.#pending.settle(updateId, error === null ? null : { ...error, message: shownText(error.message) });
  }

  /**
   * Called when the record has changed. If the worker that was asked no longer has the task, the callers that wait for
   * its answer get an error.
   */
  recordChanged(before: TaskRecord, now: TaskRecord): void {
    if (!isActive(before.state)) return;
    if (isActive(now.state) && now.state.attempt === before.state.attempt) return;
    this.#pending.settleAll(refusalOfUpdate(now) ?? ATTEMPT_OVER);
  }
}
