import { Pacer } from "../../base/pacer.ts";
import { warn } from "../../base/warn.ts";

/**
 * Questions to Task objects, and releases of tasks, that the region's alarm starts without waiting for them. If the
 * alarm waited, one object that does not answer would delay the closing of silent sockets and the release of other lost
 * tasks. The jobs begin one after another with a gap, because each wakes an object, and thousands at once would end the
 * process (docs/scale.md).
 */
export class PacedChecks {
  readonly #waitUntil: (promise: Promise<unknown>) => void;
  readonly #pacer: Pacer;
  readonly #underWay = new Set<string>();

  constructor(waitUntil: (promise: Promise<unknown>) => void, gapMs: number) {
    this.#waitUntil = waitUntil;
    this.#pacer = new Pacer(gapMs);
  }

  /** Queues a job for a task. Does nothing while an earlier job for this task is pending. */
  start(taskId: string, job: () => Promise<void>): void {
    if (this.#underWay.has(taskId)) return;
    this.#underWay.add(taskId);
    this.#waitUntil(this.#run(taskId, job));
  }

  async #run(taskId: string, job: () => Promise<void>): Promise<void> {
    try {
      await this.#pacer.turn();
      await job();
    } catch (thrown) {
      // The next alarm starts the job again.
      warn("assignment not checked", thrown);
    } finally {
      this.#underWay.delete(taskId);
    }
  }
}
