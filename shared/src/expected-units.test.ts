import { expect, test } from "vitest";
import { expectedUnits } from "./expected-units.ts";
import type { PlanSummary } from "./wire.ts";

const plan = (video: PlanSummary["video"]): PlanSummary => ({ video, audio: "copy", reasons: [] });

test.each([
  ["nothing is known", null, {}, 10],
  ["an earlier attempt copied", plan("copy"), {}, 4],
  ["an earlier attempt transcoded", plan("transcode"), {}, 46],
  ["the caller wants a small picture", null, { Width: 640, Height: 360, Fps: 15 }, 11],
  ["the caller wants the largest picture", null, { Width: 1920, Height: 1080, Fps: 30 }, 96],
  ["the caller wants something of it", null, { BitRate: 800 }, 46],
] as const)("when %s, room is reserved by the pixel rate", (what, known, VideoEncodeParams, units) => {
  const request = what.startsWith("the caller") ? { VideoEncodeParams } : {};
  expect(Math.round(expectedUnits(known, request))).toBe(units);
});
