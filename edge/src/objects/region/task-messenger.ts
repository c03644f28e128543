import type { ErrorBody, LogLine } from "@roomcast/shared";
import { answerInTime } from "../../base/answer-in-time.ts";
import { SerialQueue } from "../../base/serial-queue.ts";
import { warn } from "../../base/warn.ts";
import type { Env } from "../../contracts/env.ts";
import type { AttemptRef, WorkerAnswer, WorkerEvent } from "../../contracts/task-object.ts";

/** A Task object that takes longer than this counts as not answering, so that nothing else waits for it. */
const ANSWER_TIMEOUT_MS = 15_000;

/** Sends a region's messages to the Task objects. Messages to one task stay in order. */
export class TaskMessenger {
  readonly #env: Env;
  readonly #queue = new SerialQueue();

  constructor(env: Env) {
    this.#env = env;
  }

  /** Passes a worker's event on to the task. Rejects if the task could not be reached. */
  workerEvent(taskId: string, ref: AttemptRef, event: WorkerEvent): Promise<WorkerAnswer> {
    return this.#queue.run(taskId, () => inTime(async () => await this.#task(taskId).workerEvent(ref, event)));
  }

  async appendLogs(taskId: string, ref: AttemptRef, lines: readonly LogLine[]): Promise<void> {
    await this.#queue
      .run(taskId, () => inTime(async () => await this.#task(taskId).appendLogs(ref, lines)))
      .catch((thrown: unknown) => warn("log lines lost", thrown));
  }

  async updated(taskId: string, ref: AttemptRef, updateId: string, error: ErrorBody | null): Promise<void> {
    await this.#queue
      .run(taskId, () => inTime(async () => await this.#task(taskId).updated(ref, updateId, error)))
      .catch((thrown: unknown) => warn("a change was not written", thrown));
  }

  async holds(taskId: string, ref: AttemptRef): Promise<boolean> {
    return await inTime(async () => await this.#task(taskId).holds(ref));
  }

  async wake(taskId: string): Promise<void> {
    await inTime(async () => await this.#task(taskId).wake())
      // If the wake-up fails, the task still looks for a worker by itself, but later.
      .catch((thrown: unknown) => warn("task not woken", thrown));
  }

  #task(taskId: string) {
    return this.#env.TASK.getByName(taskId);
  }
}

function inTime<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  return answerInTime(ask(), ANSWER_TIMEOUT_MS);
}
