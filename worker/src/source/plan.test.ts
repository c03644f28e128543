import { describe, expect, it } from "vitest";
import type { AudioInfo, MediaInfo, VideoInfo } from "./media-info.ts";
import { copiesAll, plannedPicture, planPush, toSummary } from "./plan.ts";

const VIDEO: VideoInfo = {
  codec: "h264",
  width: 1280,
  height: 720,
  fps: 30,
  pixelFormat: "yuv420p",
  hasBFrames: false,
  gopMs: 2000,
  rotation: 0,
  squarePixels: true,
  interlaced: false,
};
const AUDIO: AudioInfo = { codec: "aac", channels: 2, sampleRateHz: 48_000 };

function media(video: Partial<VideoInfo> | null = {}, audio: Partial<AudioInfo> | null = {}): MediaInfo {
  return {
    container: "mov,mp4,m4a,3gp,3g2,mj2",
    durationMs: 10_000,
    video: video === null ? null : { ...VIDEO, ...video },
    audio: audio === null ? null : { ...AUDIO, ...audio },
  };
}

describe("what is copied", () => {
  it.each<[string, MediaInfo]>([
    ["H.264 and AAC as the room takes them", media()],
    ["mono at 44100 Hz", media({}, { channels: 1, sampleRateHz: 44_100 })],
    ["full-range yuv420p", media({ pixelFormat: "yuvj420p" })],
    ["1080p at 29.97 frames a second", media({ width: 1920, height: 1080, fps: 30_000 / 1001 })],
    ["a rate a little over 30", media({ fps: 30.01 })],
    ["keyframes 4 s apart", media({ gopMs: 4000 })],
    ["what is not known", media({ gopMs: null, fps: null, pixelFormat: null })],
  ])("%s", (_name, source) => {
    const plan = planPush(source);
    expect(plan).toEqual({ video: { action: "copy" }, audio: { action: "copy" }, reasons: [] });
    expect(copiesAll(plan)).toBe(true);
  });
});

describe("what is encoded anew, and why", () => {
  it.each<[string, MediaInfo, string]>([
    ["another codec", media({ codec: "hevc" }), "The video is hevc; rooms take H.264."],
    ["10 bit", media({ pixelFormat: "yuv420p10le" }), "The pixel format is yuv420p10le; rooms take yuv420p."],
    ["4:4:4", media({ pixelFormat: "yuv444p" }), "The pixel format is yuv444p; rooms take yuv420p."],
    ["B-frames", media({ hasBFrames: true }), "The video has B-frames, which rooms do not carry."],
    ["too large", media({ width: 3840, height: 2160 }), "The picture is 3840x2160, larger than 1920x1080."],
    ["upright 1080p", media({ width: 1080, height: 1920 }), "The picture is 1080x1920, larger than 1920x1080."],
    ["too fast", media({ fps: 60 }), "The video has 60 frames a second, more than 30."],
    ["long GOP", media({ gopMs: 8340 }), "Keyframes are up to 8.34 s apart, more than 4 s."],
    ["rotation", media({ width: 640, height: 360, rotation: 90 }), "The picture is to be turned by 90 degrees."],
    ["pixels that are not square", media({ squarePixels: false }), "The pixels are not square."],
    ["interlaced", media({ interlaced: true }), "The video is interlaced."],
  ])("the video: %s", (_name, source, reason) => {
    const plan = planPush(source);
    expect(plan.reasons).toEqual([reason]);
    expect(toSummary(plan)).toEqual({ video: "transcode", audio: "copy", reasons: [reason] });
    expect(copiesAll(plan)).toBe(false);
  });

  it.each<[string, MediaInfo, string]>([
    ["another codec", media({}, { codec: "mp3" }), "The audio is mp3; rooms take AAC."],
    ["5.1", media({}, { channels: 6 }), "The audio has 6 channels, more than 2."],
    ["22050 Hz", media({}, { sampleRateHz: 22_050 }), "The audio is sampled at 22050 Hz, neither 44100 nor 48000."],
  ])("the audio: %s", (_name, source, reason) => {
    const plan = planPush(source);
    expect(plan.audio).toEqual({ action: "transcode", sampleRateHz: 48_000, channels: 2 });
    expect(toSummary(plan)).toEqual({ video: "copy", audio: "transcode", reasons: [reason] });
  });

  it("only what must be: all reasons are given", () => {
    const plan = planPush(media({ codec: "vp9", fps: 60 }, { codec: "opus" }));
    expect(plan.reasons).toHaveLength(3);
  });
});

describe("what is made because it is missing", () => {
  it("a picture for sound alone", () => {
    const plan = planPush(media(null));
    expect(plan.video).toMatchObject({ action: "generate", width: 640, height: 360, fps: 15 });
    expect(plan.reasons).toEqual(["There is no video: a picture is made."]);
  });

  it("silence for a picture alone", () => {
    const plan = planPush(media({}, null));
    expect(plan.audio).toEqual({ action: "generate", sampleRateHz: 48_000, channels: 2 });
    expect(plan.reasons).toEqual(["There is no audio: silence is made."]);
  });
});

describe("the picture that the room sees", () => {
  it.each<[string, Partial<VideoInfo>, [number, number, number]]>([
    ["4K keeps its shape", { width: 3840, height: 2160 }, [1920, 1080, 30]],
    ["cinema wide keeps its shape, even", { width: 4096, height: 1716 }, [1920, 804, 30]],
    ["upright 1080p fits the height", { width: 1080, height: 1920 }, [608, 1080, 30]],
    ["odd sizes become even", { width: 853, height: 479, hasBFrames: true }, [854, 480, 30]],
    ["a small picture is not made larger", { width: 320, height: 180, hasBFrames: true }, [320, 180, 30]],
    ["rotation swaps the sides", { rotation: 90 }, [608, 1080, 30]],
    ["half a turn does not", { rotation: 180 }, [1280, 720, 30]],
    [
      "wide pixels make it wider",
      { width: 720, height: 576, squarePixels: false, pixelAspect: 16 / 11 },
      [1048, 576, 30],
    ],
    ["60 becomes 30", { fps: 60 }, [1280, 720, 30]],
    ["50 becomes 25", { fps: 50 }, [1280, 720, 25]],
    ["120 becomes 30", { fps: 120 }, [1280, 720, 30]],
    ["48 becomes 24", { fps: 48 }, [1280, 720, 24]],
    ["40 becomes 30", { fps: 40 }, [1280, 720, 30]],
    ["24 stays where the codec is foreign", { fps: 24, codec: "vp8" }, [1280, 720, 24]],
    ["an unknown rate becomes 30", { fps: null, codec: "vp8" }, [1280, 720, 30]],
  ])("%s", (_name, video, [width, height, fps]) => {
    const source = media(video);
    expect(plannedPicture(source, planPush(source))).toMatchObject({ width, height, fps });
  });

  it("is the source's own where it is copied", () => {
    const source = media({ width: 640, height: 360, fps: 24 });
    expect(plannedPicture(source, planPush(source))).toEqual({ width: 640, height: 360, fps: 24 });
  });

  it("fits a smaller canvas where the room session has one", () => {
    const source = media();
    const plan = planPush(source, { canvas: { width: 640, height: 640, fps: 15 } });
    expect(plannedPicture(source, plan)).toMatchObject({ width: 640, height: 360, fps: 15 });
  });
});
