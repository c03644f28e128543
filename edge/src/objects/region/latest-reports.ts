import type { TaskReport } from "@roomcast/shared";
import type { KnownReport } from "../../contracts/region-object.ts";
import { progressOf } from "../../model/progress.ts";

/**
 * A task hears of its position about this often; of another state at once. Telling wakes a Task object that has been
 * put away, which costs more than everything else about a running task (docs/scale.md). Little is lost by it: who asks
 * for a task is shown the newest position from here, a lost worker's task is released with it, and a hello brings it
 * back. Only where this object's memory and the worker go together, a push goes on from up to so long ago. Below
 * TASK_SILENCE_MS, so that a task which runs well never has to ask.
 */
const TELL_EVERY_MS = 240_000;

interface Entry {
  readonly report: TaskReport;
  readonly atMs: number;
  /** When its task was told of it, or counts as told. */
  readonly toldAtMs: number;
}

/** The newest report of each task, in memory only: the next second brings it again. */
export class LatestReports {
  readonly #entries = new Map<string, Entry>();

  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Notes a report. True: the task should be told of it. */
  put(report: TaskReport, atMs: number): boolean {
    const before = this.#entries.get(report.taskId);
    if (before === undefined || isNews(before.report, report)) {
      // Tasks that start together, or come back after a restart, are not woken together for ever.
      this.#entries.set(report.taskId, { report, atMs, toldAtMs: atMs - this.#random() * TELL_EVERY_MS });
      return true;
    }
    const due = atMs - before.toldAtMs >= TELL_EVERY_MS;
    this.#entries.set(report.taskId, { report, atMs, toldAtMs: due ? atMs : before.toldAtMs });
    return due;
  }

  /** Returns the progress and plan of the newest report; null if there is none of this attempt. */
  known(taskId: string, attempt: number): KnownReport | null {
    const entry = this.#of(taskId, attempt);
    if (entry === undefined) return null;
    return { progress: progressOf(entry.report, entry.atMs), plan: entry.report.plan };
  }

  newestReport(taskId: string, attempt: number): TaskReport | undefined {
    return this.#of(taskId, attempt)?.report;
  }

  remove(taskId: string): void {
    this.#entries.delete(taskId);
  }

  #of(taskId: string, attempt: number): Entry | undefined {
    const entry = this.#entries.get(taskId);
    return entry?.report.attempt === attempt ? entry : undefined;
  }
}

/** Another plan is news too: by it the task is placed should its worker be lost. */
function isNews(before: TaskReport, now: TaskReport): boolean {
  return (
    before.attempt !== now.attempt ||
    before.state !== now.state ||
    before.skipped?.count !== now.skipped?.count ||
    JSON.stringify(before.plan) !== JSON.stringify(now.plan)
  );
}
