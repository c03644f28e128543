import { encodeFrame, MAX_FRAME_LENGTH } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { fittingReports } from "./fitting-reports.ts";

describe("fittingReports", () => {
  it("splits a report that is too long into frames that contain every task once", () => {
    const reasons = Array.from({ length: 20 }, () => "x".repeat(300));
    const tasks = Array.from({ length: 301 }, (_, n) => ({
      taskId: "11111111-1111-4111-8111-111111111111",
      attempt: n + 1,
      item: 0,
      state: "pushing" as const,
      positionMs: 1500,
      durationMs: 30_000,
      bitRateKbps: 2000,
      fps: 30,
      droppedFrames: 0,
      plan: { video: "copy" as const, audio: "copy" as const, reasons },
    }));
    const reports = fittingReports({ type: "report", load: { units: 4 }, tasks });
    expect(reports.length).toBeGreaterThan(1);
    expect(reports.flatMap((report) => report.tasks)).toEqual(tasks);
    for (const report of reports) expect(encodeFrame(report).length).toBeLessThanOrEqual(MAX_FRAME_LENGTH);
  });
});
