import type { TaskView } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { progressLine } from "./progress-line.ts";

const progress: NonNullable<TaskView["progress"]> = {
  item: 0,
  positionMs: 3000,
  durationMs: 12_000,
  fps: 29.97,
  bitRateKbps: 2071.4,
  droppedFrames: 0,
  updatedAt: "2026-11-23T00:00:00.000Z",
};
const plan: TaskView["plan"] = { video: "copy", audio: "transcode", reasons: [] };

describe("progressLine", () => {
  it.each<{ why: string; task: Parameters<typeof progressLine>[0]; line: string }>([
    { why: "the state of a queued task", task: { state: "queued", progress: null, plan: null }, line: "queued" },
    {
      why: "the position of a file",
      task: { state: "pushing", progress, plan },
      line: "pushing         3.0 s /  12.0 s [######------------------]  30.0 fps  2071 kbit/s  video copy, audio transcode",
    },
    {
      why: "the running time of a live stream",
      task: { state: "reconnecting", progress: { ...progress, durationMs: null }, plan: null },
      line: "reconnecting    3.0 s  30.0 fps  2071 kbit/s",
    },
    {
      why: "a full bar without rates at the end",
      task: { state: "finished", progress: { ...progress, positionMs: 12_100 }, plan },
      line: "finished       12.1 s /  12.0 s [########################]  video copy, audio transcode",
    },
  ])("shows $why", ({ task, line }) => {
    expect(progressLine(task)).toBe(line);
  });
});
