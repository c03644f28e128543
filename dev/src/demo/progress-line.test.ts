import type { TaskView } from "@roomcast/shared";
import { expect, test } from "vitest";
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

test.each<{ why: string; task: Parameters<typeof progressLine>[0]; line: string }>([
  { why: "a task that waits shows its state", task: { state: "queued", progress: null, plan: null }, line: "queued" },
  {
    why: "a recorded file shows how far it is",
    task: { state: "pushing", progress, plan },
    line: "pushing         3.0 s /  12.0 s [######------------------]  30.0 fps  2071 kbit/s  video copy, audio transcode",
  },
  {
    why: "a live stream shows for how long it runs",
    task: { state: "reconnecting", progress: { ...progress, durationMs: null }, plan: null },
    line: "reconnecting    3.0 s  30.0 fps  2071 kbit/s",
  },
  {
    why: "a task that has ended shows no rates, and a position past the end does not break the bar",
    task: { state: "finished", progress: { ...progress, positionMs: 12_100 }, plan },
    line: "finished       12.1 s /  12.0 s [########################]  video copy, audio transcode",
  },
])("$why", ({ task, line }) => {
  expect(progressLine(task)).toBe(line);
});
