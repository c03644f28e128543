import type { TaskReport } from "@roomcast/shared";

/** What is known of a push's progress. */
export interface Progress
  extends Pick<TaskReport, "positionMs" | "durationMs" | "fps" | "bitRateKbps" | "droppedFrames"> {
  /** Which source of the playlist, from 0. */
  readonly item: number;
  /** When the worker said it, by the edge's clock, Unix ms. */
  readonly updatedAtMs: number;
}

/** The progress that a report tells of. Pure. */
export function progressOf(report: TaskReport, atMs: number): Progress {
  const { item = 0, positionMs, durationMs, fps, bitRateKbps, droppedFrames } = report;
  return { item, positionMs, durationMs, fps, bitRateKbps, droppedFrames, updatedAtMs: atMs };
}
