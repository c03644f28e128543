import type { ProgressRecord } from "../redis-progress/progress-record.ts";

/** A place in a playlist. */
export interface StartPosition {
  readonly item: number;
  readonly positionMs: number;
}

export interface StartPositionOptions {
  readonly live: boolean;
  readonly taskId: string;
  /** Where the edge last saw an earlier attempt of this task; null: there was none, or it never played. */
  readonly resumeAt: StartPosition | null;
  /** What Redis holds of the same source; null: nothing, or no Redis was asked for. */
  readonly found: ProgressRecord | null;
  /** Where the request asks to begin, ms. */
  readonly seekMs: number;
}

const BEGINNING: StartPosition = { item: 0, positionMs: 0 };

/**
 * Where in its sources a task starts. Pure.
 *
 * A live source starts at its newest. A later attempt of a task goes on where that task was: the edge and the task's
 * own record in Redis both lag behind by up to a second, so the further one is the newer one; a record of *another* task
 * says nothing about this one. A first attempt resumes the record, whoever wrote it, unless that push had finished;
 * without one it begins where the request asks.
 */
export function startPosition(options: StartPositionOptions): StartPosition {
  const { live, taskId, found, resumeAt } = options;
  if (live) return BEGINNING;
  const begins = resumeAt ?? { item: 0, positionMs: options.seekMs };
  if (found === null || found.state === "finished") return begins;
  const recorded = { item: found.item, positionMs: found.positionMs };
  if (found.taskId === taskId) return resumeAt === null ? recorded : further(resumeAt, recorded);
  return resumeAt !== null && (resumeAt.item > 0 || resumeAt.positionMs > 0) ? resumeAt : recorded;
}

function further(a: StartPosition, b: StartPosition): StartPosition {
  return a.item > b.item || (a.item === b.item && a.positionMs >= b.positionMs) ? a : b;
}
