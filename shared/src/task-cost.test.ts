import { describe, expect, it } from "vitest";
import { taskCost, UNITS_PER_CORE } from "./task-cost.ts";

const pixelsPerSecond = (width: number, height: number, fps: number) => width * height * fps;
const fitOnCore = (units: number) => Math.floor(UNITS_PER_CORE / units);

describe("taskCost", () => {
  it("lets a core carry 25 copies", () => {
    expect(fitOnCore(taskCost({ video: "copy" }))).toBe(25);
  });

  it("lets a core transcode two 720p30 streams, but not a 1080p30 stream beside one", () => {
    const hd = taskCost({ video: "transcode", pixelsPerSecond: pixelsPerSecond(1280, 720, 30) });
    const fullHd = taskCost({ video: "transcode", pixelsPerSecond: pixelsPerSecond(1920, 1080, 30) });
    expect(fitOnCore(hd)).toBe(2);
    expect(hd + fullHd).toBeGreaterThan(UNITS_PER_CORE);
  });

  it("counts a transcode as more than a copy at any size", () => {
    expect(taskCost({ video: "transcode", pixelsPerSecond: 0 })).toBeGreaterThan(taskCost({ video: "copy" }));
  });

  it("counts tone mapping of 1080p30 HDR as more than a core", () => {
    const basis = { video: "transcode", pixelsPerSecond: pixelsPerSecond(1920, 1080, 30) } as const;
    expect(taskCost({ ...basis, toneMapped: true }) - taskCost(basis)).toBeGreaterThan(UNITS_PER_CORE);
  });
});
