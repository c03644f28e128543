import type { TaskReport } from "@roomcast/shared";
import type { KnownReport } from "../../contracts/region-object.ts";
import { progressOf } from "../../model/progress.ts";

/**
 * The time after which a task gets a report again if its state and plan have not changed. A change is reported at once.
 * Each report wakes a Task object that was evicted, which costs more than everything else about a running task
 * (docs/scale.md). Little is lost by waiting, because the region has the newest position: the API shows it, a lost
 * worker's task is released with it, and a hello restores it. Only if this object's memory and the worker are lost
 * together, a push continues from a position that is up to this old. The time is below TASK_SILENCE_MS, so that a task
 * that runs well never has to ask the region.
 */
const TELL_EVERY_MS = 240_000;

interface Entry {
  readonly report: TaskReport;
  readonly atMs: number;
  /** The time at which the task last got a report, or counts as having got one. */
  readonly toldAtMs: number;
}

/** The newest report of each task. The reports are in memory only, because the next one comes within a second. */
export class LatestReports {
  readonly #entries = new Map<string, Entry>();

  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Stores a report. Returns true if the task should get it. */
  put(report: TaskReport, atMs: number): boolean {
    const before = this.#entries.get(report.taskId);
    if (before === undefined || isNews(before.report, report)) {
      // The next report is due after a random part of the interval, so that tasks that start together are not woken
      // together each time.
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

/**
 * Returns true if the task should get the report at once. A changed plan is passed on too, because the task is placed
 * by its plan if its worker is lost.
 */
function isNews(before: TaskReport, now: TaskReport): boolean {
  return (
    before.attempt !== now.attempt ||
    before.state !== now.state ||
    before.skipped?.count !== now.skipped?.count ||
    JSON.stringify(before.plan) !== JSON.stringify(now.plan)
  );
}
