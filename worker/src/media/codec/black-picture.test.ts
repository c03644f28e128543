import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { parseAvcConfig } from "./avc-config.ts";
import { blackPicture } from "./black-picture.ts";
import { reordersFrames } from "./sps.ts";

/** Returns all samples of the picture as ffmpeg decodes it, planar 4:2:0. */
function decoded({ record, accessUnit }: ReturnType<typeof blackPicture>): Buffer {
  const { spsUnits, ppsUnits } = parseAvcConfig(record);
  const startCode = Buffer.from([0, 0, 0, 1]);
  const units = [...spsUnits, ...ppsUnits, accessUnit.subarray(4)];
  const annexB = Buffer.concat(units.flatMap((unit) => [startCode, Buffer.from(unit)]));
  const args = [
    "-v",
    "error",
    "-xerror",
    "-f",
    "h264",
    "-i",
    "pipe:0",
    "-pix_fmt",
    "yuv420p",
    "-f",
    "rawvideo",
    "pipe:1",
  ];
  const { stdout, stderr } = spawnSync("ffmpeg", args, { input: annexB, maxBuffer: 64 * 1024 * 1024 });
  expect(stderr.toString()).toBe("");
  return stdout;
}

describe("blackPicture", () => {
  it.each([
    { width: 640, height: 360 },
    { width: 1920, height: 1080 },
    { width: 360, height: 640 },
    { width: 2, height: 2 },
  ])("is decoded by ffmpeg as black at $width x $height", (size) => {
    const planes = decoded(blackPicture(size));
    const pixels = size.width * size.height;
    expect(planes.length).toBe((pixels * 3) / 2);
    expect(new Set(planes.subarray(0, pixels))).toEqual(new Set([16]));
    expect(new Set(planes.subarray(pixels))).toEqual(new Set([128]));
  });

  it("tells its size and that it reorders nothing", () => {
    const { sps } = parseAvcConfig(blackPicture({ width: 854, height: 480 }).record);
    expect(sps).toMatchObject({ width: 854, height: 480 });
    expect(reordersFrames(sps)).toBe(false);
  });
});
