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
  /** When it was seen there, or told to be there, Unix ms; undefined: an older edge does not say. */
  readonly seenAtMs?: number | undefined;
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
 * own record in Redis both lag behind, so what was written later counts: after a jump back, the further position is an old
 * one that Redis, being away, has kept. A record of *another* task says nothing about this one. A first attempt resumes the record, whoever wrote it, unless that push had finished;
 * without one it begins where the request asks.
 */
export function startPosition(options: StartPositionOptions): StartPosition {
  const { live, taskId, found, resumeAt, seenAtMs } = options;
  if (live) return BEGINNING;
  const begins = resumeAt ?? { item: 0, positionMs: options.seekMs };
  if (found === null || found.state === "finished") return begins;
  const recorded = { item: found.item, positionMs: found.positionMs };
  if (found.taskId === taskId) {
    if (resumeAt === null) return recorded;
    if (seenAtMs === undefined) return further(resumeAt, recorded);
    return found.updatedAtMs > seenAtMs ? recorded : resumeAt;
  }
  return resumeAt !== null && (resumeAt.item > 0 || resumeAt.positionMs > 0) ? resumeAt : recorded;
}

/** All that is known where no time was said: the two lag behind by a second at most while both are there. */
function further(a: StartPosition, b: StartPosition): StartPosition {
  return a.item > b.item || (a.item === b.item && a.positionMs >= b.positionMs) ? a : b;
}
