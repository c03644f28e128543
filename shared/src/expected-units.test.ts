import { describe, expect, it } from "vitest";
import { expectedUnits } from "./expected-units.ts";
import type { PlanSummary } from "./wire.ts";

const plan = (video: PlanSummary["video"]): PlanSummary => ({ video, audio: "copy", reasons: [] });

describe("expectedUnits", () => {
  it.each([
    ["nothing is known", null, {}, 10],
    ["an earlier attempt copied", plan("copy"), {}, 4],
    ["an earlier attempt transcoded", plan("transcode"), {}, 46],
    ["the caller wants a small picture", null, { Width: 640, Height: 360, Fps: 15 }, 11],
    ["the caller wants the largest picture", null, { Width: 1920, Height: 1080, Fps: 30 }, 96],
    ["the caller sets parameters without a size", null, { BitRate: 800 }, 46],
  ] as const)("reserves units by the pixel rate when %s", (what, known, VideoEncodeParams, units) => {
    const request = what.startsWith("the caller") ? { VideoEncodeParams } : {};
    expect(Math.round(expectedUnits(known, request))).toBe(units);
  });
});
