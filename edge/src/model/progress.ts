import type { TaskReport } from "@roomcast/shared";

/** The known progress of a push. */
export interface Progress
  extends Pick<TaskReport, "positionMs" | "durationMs" | "fps" | "bitRateKbps" | "droppedFrames"> {
  /** The index of the source in the playlist, from 0. */
  readonly item: number;
  /** The time of the worker's report by the edge's clock, Unix ms. */
  readonly updatedAtMs: number;
}

/** Reads the progress from a report. Pure. */
export function progressOf(report: TaskReport, atMs: number): Progress {
  const { item = 0, positionMs, durationMs, fps, bitRateKbps, droppedFrames } = report;
  return { item, positionMs, durationMs, fps, bitRateKbps, droppedFrames, updatedAtMs: atMs };
}
