import type { ProgressRecord } from "../redis-progress/progress-record.ts";

/** An item of a playlist and a position in it. */
export interface StartPosition {
  readonly item: number;
  readonly positionMs: number;
}

export interface StartPositionOptions {
  readonly live: boolean;
  readonly taskId: string;
  /**
   * The position at which the edge last saw an earlier attempt of this task; null if there was no such attempt or it
   * never played.
   */
  readonly resumeAt: StartPosition | null;
  /**
   * The time at which the edge saw the attempt at `resumeAt` or sent it there, Unix ms. An older edge does not give it.
   */
  readonly seenAtMs?: number | undefined;
  /** The Redis record of the same source. Null if there is none or the push does not use Redis. */
  readonly found: ProgressRecord | null;
  /** The start position in the request, ms. */
  readonly seekMs: number;
}

const BEGINNING: StartPosition = { item: 0, positionMs: 0 };

/**
 * Returns the item and the position at which a task starts. Pure.
 *
 * A live source starts at its newest media. A later attempt of a task continues where that task was. The edge and the
 * task's record in Redis both lag behind, so the more recent of the two counts, not the further position: after a seek
 * back, the further position may date from before Redis became unreachable. A record of *another* task is not used for
 * a later attempt. A first attempt resumes the record of any task, unless that task had finished. Without a record it
 * starts where the request asks.
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

/**
 * Returns the further of two positions. It is used when their times are unknown: both positions lag behind by at most a
 * second while edge and Redis are reachable.
 */
function further(a: StartPosition, b: StartPosition): StartPosition {
  return a.item > b.item || (a.item === b.item && a.positionMs >= b.positionMs) ? a : b;
}
