import { encodeFrame, MAX_FRAME_LENGTH, type WorkerFrameOf } from "@roomcast/shared";

type Report = WorkerFrameOf<"report">;

/** Splits a report into several frames if one would be too long for the edge. Pure. */
export function fittingReports(report: Report): Report[] {
  if (report.tasks.length <= 1 || encodeFrame(report).length <= MAX_FRAME_LENGTH) return [report];
  const half = Math.ceil(report.tasks.length / 2);
  return [report.tasks.slice(0, half), report.tasks.slice(half)].flatMap((tasks) =>
    fittingReports({ ...report, tasks }),
  );
}
