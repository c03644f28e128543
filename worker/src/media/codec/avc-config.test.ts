import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { VideoInfo } from "../media-info.ts";
import { parseAvcConfig } from "./avc-config.ts";
import { CodecError } from "./codec-error.ts";
import { videoInfoOf } from "./track-info.ts";

const run = promisify(execFile);

/** These are from files that ffmpeg 5.1 with libx264 made; the second column is ffprobe's output for them. */
const RECORDS: readonly (readonly [string, Partial<VideoInfo>, string])[] = [
  [
    "baseline 320x240",
    { width: 320, height: 240, fps: 25, pixelFormat: "yuv420p", hasBFrames: false },
    "0142c00dffe100186742c00dd90141fb011000000300100000030320f142a48001000568cb83cb20",
  ],
  [
    "main without B-frames",
    { width: 320, height: 240, fps: 25, pixelFormat: "yuv420p", hasBFrames: false },
    "014d400dffe10018674d400dd90141fb011000000300100000030320f142a48001000568ebc3cb20",
  ],
  [
    "cropped 1080p at 29.97",
    { width: 1920, height: 1080, fps: 30_000 / 1001, pixelFormat: "yuv420p", hasBFrames: false },
    "0142c028ffe100176742c028da01e0089f97011000003e90000ea600f1832a01000468ce0fc8",
  ],
  [
    "high with B-frames",
    { width: 320, height: 240, hasBFrames: true, squarePixels: true, interlaced: false },
    "0164000dffe100196764000dacd94141fb011000000300100000030320f142996001000668ebe3cb22c0fdf8f800",
  ],
  [
    "high 854x482 zerolatency",
    { width: 854, height: 482, fps: 30, hasBFrames: false },
    "0164001fffe1001b6764001facb201b07fcd118088000003000800000301e478c1924001000668ebc3cb22c0fdf8f800",
  ],
  [
    "high 10",
    { width: 320, height: 240, pixelFormat: "yuv420p10le" },
    "016e000dffe10019676e000da6cd94141fb011000003000100000300320f14299601000668ebe3cb22c0fdfafa00",
  ],
  [
    "high 4:2:2",
    { width: 320, height: 240, pixelFormat: "yuv422p" },
    "017a000dffe10019677a000dbcd94141fb011000000300100000030320f142996001000668ebe3cb22c0fef8f800",
  ],
  [
    "high 4:4:4",
    { width: 160, height: 120, pixelFormat: "yuv444p" },
    "01f4000bffe1001a67f4000b919b28508fc4e022000003000200000300641e28532c01000668ebe3c44844fff8f800",
  ],
  [
    "RGB",
    { width: 320, height: 240, pixelFormat: "gbrp" },
    "01f4000dffe1001d67f4000d919b28283f602dc080801000000300100000030320f142996001000668ebe3cb22c0fff8f800",
  ],
  // ffmpeg decodes monochrome to 4:2:0 at 8 bits. Other players may not, so it has a separate name.
  [
    "monochrome",
    { width: 320, height: 240, pixelFormat: "gray" },
    "0164000dffe100196764000df3650507ec05b2000003000200000300641e28532c01000668ebe3cb22c0fcf8f800",
  ],
  [
    "pixels of 4:3",
    { width: 320, height: 240, squarePixels: false },
    "0164000dffe100196764000dacd94141fb0e1000000300100000030320f142996001000668ebe3cb22c0fdf8f800",
  ],
  [
    "pixels of 37:31, written out",
    { width: 320, height: 240, squarePixels: false, hasBFrames: false },
    "0164000dffe1001b6764000dacb20283f7fe004a003e20000003002000000641e2854901000668ebc3cb22c0fdf8f800",
  ],
  [
    "interlaced 1080",
    { width: 1920, height: 1080, interlaced: true },
    "014d4028ffe10019674d4028f403c0227ef011000003000100000300321f162ea001000468de0fc8",
  ],
  [
    "full range",
    { width: 320, height: 240, pixelFormat: "yuvj420p" },
    "0164000dffe100186764000dacd94141fb016c800000030080000019078a14cb01000668ebe3cb22c0fdf8f800",
  ],
  [
    "a buffer model (HRD)",
    { width: 320, height: 240, fps: 25, hasBFrames: true },
    "0164000dffe100236764000dacd94141fb01100000030010000003032602001e840007a13930c01e28532c01000568ebecb22cfdf8f800",
  ],
];

const sound = Buffer.from(RECORDS[3]?.[2] ?? "", "hex");

describe("an AVC configuration made by a real encoder", () => {
  test.each(RECORDS)("is read as ffprobe reads it: %s", (_name, expected, hex) => {
    const config = parseAvcConfig(Buffer.from(hex, "hex"));
    expect(videoInfoOf(config)).toMatchObject({ codec: "h264", gopMs: null, rotation: 0, ...expected });
    expect(config.nalLengthSize).toBe(4);
    expect(config.spsUnits).toHaveLength(1);
    expect(config.ppsUnits).toHaveLength(1);
  });
});

function outcome(bytes: Uint8Array): unknown {
  try {
    return parseAvcConfig(bytes).sps.width;
  } catch (error) {
    return error;
  }
}

describe("a hostile AVC configuration", () => {
  test("cut short anywhere before its last parameter set ends, is refused with the one typed error", () => {
    // The last four bytes are the optional high-profile extension.
    for (let length = 0; length < sound.length - 4; length += 1) {
      expect(outcome(sound.subarray(0, length))).toBeInstanceOf(CodecError);
    }
  });

  test("with any single bit flipped, is read or refused with the one typed error, never anything else", () => {
    for (let bit = 0; bit < sound.length * 8; bit += 1) {
      const flipped = Buffer.from(sound);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const result = outcome(flipped);
      expect(typeof result === "number" || result instanceof CodecError).toBe(true);
    }
  });

  test.each([
    ["an unknown version", "0264000dffe1"],
    ["a NAL length of three bytes", "0164000dfee1"],
    ["no parameter sets", "0164000dffe000"],
    ["no PPS", "0142c00dffe100186742c00dd90141fb011000000300100000030320f142a48000"],
    ["a PPS where the SPS should be", "0142c00dffe1000568cb83cb2001000568cb83cb20"],
  ])("with %s is refused", (_name, hex) => {
    expect(outcome(Buffer.from(hex, "hex"))).toBeInstanceOf(CodecError);
  });
});

describe("a clip made now", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "roomcast-avc-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test.each([
    ["baseline", ["-profile:v", "baseline"]],
    ["B-frames and 4:2:2", ["-bf", "2", "-pix_fmt", "yuv422p"]],
    ["wide pixels", ["-vf", "setsar=16/11", "-bf", "0"]],
  ])("is described as ffprobe describes it: %s", async (name, options) => {
    const file = join(folder, `${name.replaceAll(" ", "-")}.mp4`);
    const input = ["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=426x242:r=24:d=0.3", "-c:v", "libx264"];
    await run("ffmpeg", [...input, "-pix_fmt", "yuv420p", ...options, file]);
    const entries = "stream=width,height,pix_fmt,has_b_frames,sample_aspect_ratio,r_frame_rate";
    const probe = await run("ffprobe", ["-v", "error", "-show_entries", entries, "-of", "json", file]);
    const stream = JSON.parse(probe.stdout).streams[0];
    const bytes = await readFile(file);
    const box = bytes.indexOf("avcC");
    const record = bytes.subarray(box + 4, box - 4 + bytes.readUInt32BE(box - 4));
    expect(videoInfoOf(parseAvcConfig(record))).toMatchObject({
      width: stream.width,
      height: stream.height,
      pixelFormat: stream.pix_fmt,
      hasBFrames: stream.has_b_frames > 0,
      squarePixels: stream.sample_aspect_ratio === "1:1",
      fps: Number(stream.r_frame_rate.split("/")[0]),
    });
  });
});
