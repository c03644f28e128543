import type { TaskReport } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { LatestReports } from "./latest-reports.ts";

const MINUTE = 60_000;

function report(over: Partial<TaskReport> = {}): TaskReport {
  return {
    taskId: "task",
    attempt: 1,
    state: "pushing",
    positionMs: 0,
    durationMs: 3_600_000,
    bitRateKbps: 2000,
    fps: 30,
    droppedFrames: 0,
    plan: null,
    ...over,
  };
}

/** Returns the minutes of an hour at which the position of a task that reports every minute is passed on. */
function minutesPassedOn(board: LatestReports, taskId: string): number[] {
  return Array.from({ length: 60 }, (_, minute) => minute).filter((minute) =>
    board.put(report({ taskId, positionMs: minute * MINUTE }), minute * MINUTE),
  );
}

describe("LatestReports", () => {
  it("passes on a changed state or attempt at once, and the position every four minutes", () => {
    const board = new LatestReports(() => 0);
    expect(board.put(report({ state: "starting" }), 0)).toBe(true);
    expect(board.put(report(), 1000)).toBe(true);
    expect(board.put(report({ positionMs: 1000 }), 2000)).toBe(false);
    expect(board.put(report({ attempt: 2 }), 3000)).toBe(true);
    expect(board.put(report({ attempt: 2 }), 3000 + 4 * MINUTE - 1)).toBe(false);
    expect(board.put(report({ attempt: 2 }), 3000 + 4 * MINUTE)).toBe(true);
    expect(board.known("task", 2)).toMatchObject({ progress: { updatedAtMs: 3000 + 4 * MINUTE } });
  });

  it("passes on the positions of tasks that start together at different times", () => {
    const phases = [0, 0.5];
    const board = new LatestReports(() => phases.shift() ?? 0);
    expect(minutesPassedOn(board, "first").slice(0, 4)).toEqual([0, 4, 8, 12]);
    expect(minutesPassedOn(board, "second").slice(0, 4)).toEqual([0, 2, 6, 10]);
  });
});
