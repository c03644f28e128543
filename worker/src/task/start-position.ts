import type { ProgressRecord } from "../progress/progress-record.ts";

export interface StartPositionOptions {
  readonly live: boolean;
  readonly taskId: string;
  /** Where the edge last saw an earlier attempt of this task, ms; null: there was none, or it never played. */
  readonly resumeAtMs: number | null;
  /** What Redis holds of the same source; null: nothing, or no Redis was asked for. */
  readonly found: ProgressRecord | null;
}

/**
 * Where in the source a task starts, ms. Pure.
 *
 * A live source starts at its newest. A later attempt of a task goes on where that task was: the edge and the task's
 * own record in Redis both lag behind by up to a second, so the larger is the newer one; a record of *another* task
 * says nothing about this one. A first attempt resumes the record, whoever wrote it, unless that push had finished.
 */
export function startPosition(options: StartPositionOptions): number {
  const { live, taskId, found } = options;
  const resumeAtMs = options.resumeAtMs ?? 0;
  if (live) return 0;
  if (found === null || found.state === "finished") return resumeAtMs;
  if (found.taskId === taskId) return Math.max(resumeAtMs, found.positionMs);
  return resumeAtMs > 0 ? resumeAtMs : found.positionMs;
}
