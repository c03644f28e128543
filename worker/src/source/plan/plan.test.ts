import { describe, expect, it } from "vitest";
import type { AudioInfo, MediaInfo, VideoInfo } from "../../media/media-info.ts";
import {
  copiesAll,
  mapsTones,
  type PlanOptions,
  plannedAudio,
  plannedPicture,
  plannedTempo,
  planPush,
  toSummary,
} from "./plan.ts";

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
    ["a variable frame rate, because every picture carries its own time", media({ fps: 17.32 })],
    ["any size that is not too large, odd ones too", media({ width: 853, height: 479 })],
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
    ["BT.2020 in 8 bit", media({ wideColours: true }), "The colours are BT.2020; rooms take BT.709."],
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
    expect(plan.audio).toMatchObject({ action: "transcode", sampleRateHz: 48_000, channels: 2 });
    expect(toSummary(plan)).toEqual({ video: "copy", audio: "transcode", reasons: [reason] });
  });

  it("only what must be: all reasons are given", () => {
    const plan = planPush(media({ codec: "vp9", fps: 60 }, { codec: "opus" }));
    expect(plan.reasons).toHaveLength(3);
  });
});

describe("HDR", () => {
  it.each(["PQ", "HLG"] as const)("%s is tone-mapped where the ffmpeg at hand can", (hdr) => {
    const plan = planPush(media({ wideColours: true, hdr }));
    expect(plan.video).toMatchObject({ action: "transcode", toBt709: true, tonesOf: hdr });
    expect(plan.reasons).toEqual([`The colours are HDR (${hdr}); rooms take BT.709: they are tone-mapped.`]);
    expect(mapsTones(plan)).toBe(true);
  });

  it("is only converted where it cannot, and the reason says so", () => {
    const plan = planPush(media({ wideColours: true, hdr: "PQ" }), { toneMapping: false });
    expect(plan.video).toMatchObject({ action: "transcode", toBt709: true, tonesOf: undefined });
    expect(plan.reasons).toEqual([
      expect.stringMatching(/^The colours are HDR \(PQ\); .* only converted .* no zscale/),
    ]);
    expect(mapsTones(plan)).toBe(false);
  });

  it("has nothing to do with what is encoded for another reason", () => {
    const plan = planPush(media({ codec: "vp9" }));
    expect(plan.video).toMatchObject({ toBt709: false, tonesOf: undefined });
    expect(mapsTones(plan)).toBe(false);
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
    expect(plan.audio).toMatchObject({ action: "generate", sampleRateHz: 48_000, channels: 2 });
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
});

const STEREO = { sampleRateHz: 48_000, channels: 2 };
const CANVAS = { width: 1280, height: 720 };

describe("a source that is what the session or the request wishes is copied", () => {
  it.each<[string, PlanOptions, MediaInfo]>([
    ["the session's size and sound", { canvas: CANVAS, audioFormat: STEREO }, media()],
    ["the session's size at any frame rate", { canvas: CANVAS }, media({ fps: 24 })],
    ["volume and tempo as they are", { volume: 100, tempo: 1 }, media()],
    ["the size that is asked for", { videoEncode: { width: 1280, height: 720 } }, media()],
    ["the width that is asked for", { videoEncode: { width: 1280 } }, media()],
    ["the frame rate that is asked for", { videoEncode: { fps: 30 } }, media({ fps: 30_000 / 1001 })],
    ["a lower bit rate than asked for", { videoEncode: { bitRateKbps: 2000 } }, media({ bitRateKbps: 1500 })],
    ["a little more than asked for", { videoEncode: { bitRateKbps: 2000 } }, media({ bitRateKbps: 2150 })],
    ["keyframes as near as asked for", { videoEncode: { gopS: 2 } }, media({ gopMs: 2080 })],
    ["the sound that is asked for", { audioEncode: { sampleRateHz: 48_000, channels: 2 } }, media()],
    ["a low audio bit rate", { audioEncode: { bitRateKbps: 128 } }, media({}, { bitRateKbps: 96 })],
    ["the session's format before the request's", { audioFormat: STEREO, audioEncode: { channels: 1 } }, media()],
  ])("%s", (_name, options, source) => {
    expect(planPush(source, options)).toMatchObject({ reasons: [] });
  });
});

describe("a source that is not what the session or the request wishes is encoded, and why", () => {
  it.each<[string, PlanOptions, MediaInfo, string]>([
    [
      "another size than the session's",
      { canvas: CANVAS },
      media({ width: 640, height: 360 }),
      "The picture is 640x360; the session's is 1280x720.",
    ],
    [
      "another size than asked for",
      { videoEncode: { width: 640 } },
      media(),
      "The picture is 1280x720; 640x360 is asked for.",
    ],
    ["another rate", { videoEncode: { fps: 15 } }, media(), "The video has 30 frames a second; 15 are asked for."],
    [
      "an unknown rate",
      { videoEncode: { fps: 15 } },
      media({ fps: null }),
      "The video has an unknown number of frames a second; 15 are asked for.",
    ],
    [
      "too many bits",
      { videoEncode: { bitRateKbps: 800 } },
      media({ bitRateKbps: 1500.4 }),
      "The video has 1500 kbit/s; 800 are asked for.",
    ],
    [
      "who knows how many bits",
      { videoEncode: { bitRateKbps: 800 } },
      media(),
      "The video has an unknown number of kbit/s; 800 are asked for.",
    ],
    [
      "keyframes too far apart",
      { videoEncode: { gopS: 1 } },
      media(),
      "Keyframes are up to 2 s apart; 1 s are asked for.",
    ],
    [
      "keyframes who knows where",
      { videoEncode: { gopS: 1 } },
      media({ gopMs: null }),
      "Keyframes are at an unknown distance; 1 s are asked for.",
    ],
  ])("the video: %s", (_name, options, source, reason) => {
    expect(toSummary(planPush(source, options))).toEqual({ video: "transcode", audio: "copy", reasons: [reason] });
  });

  it.each<[string, PlanOptions, MediaInfo, string]>([
    [
      "another format than the session's",
      { audioFormat: STEREO },
      media({}, { channels: 1, sampleRateHz: 44_100 }),
      "The audio is mono at 44100 Hz; stereo at 48000 Hz is the session's.",
    ],
    [
      "another format than asked for",
      { audioEncode: { channels: 1 } },
      media(),
      "The audio is stereo at 48000 Hz; mono at 48000 Hz is asked for.",
    ],
    [
      "too many bits",
      { audioEncode: { bitRateKbps: 64 } },
      media({}, { bitRateKbps: 192 }),
      "The audio has 192 kbit/s; 64 are asked for.",
    ],
    ["louder", { volume: 150 }, media(), "The volume is 150 %."],
    ["silenced", { volume: 0 }, media(), "The volume is 0 %."],
  ])("the audio: %s", (_name, options, source, reason) => {
    expect(toSummary(planPush(source, options))).toEqual({ video: "copy", audio: "transcode", reasons: [reason] });
  });

  it("both, where it is played faster", () => {
    const plan = planPush(media(), { tempo: 1.5 });
    expect(toSummary(plan)).toEqual({
      video: "transcode",
      audio: "transcode",
      reasons: ["The video is played at 1.5 times its speed.", "The audio is played at 1.5 times its speed."],
    });
    expect(plannedTempo(plan)).toBe(1.5);
  });
});

describe("what is made or encoded is what the session is", () => {
  it.each<[string, Partial<VideoInfo>, PlanOptions, object]>([
    [
      "upright in a wide session",
      { width: 720, height: 1280 },
      { canvas: CANVAS },
      { picture: { width: 406, height: 720 } },
    ],
    [
      "4:3 in a wide session",
      { width: 640, height: 480 },
      { canvas: CANVAS },
      { picture: { width: 960, height: 720 } },
    ],
    ["small, made larger", { width: 320, height: 180 }, { canvas: CANVAS }, { picture: { width: 1280, height: 720 } }],
    ["an odd session is made even", {}, { canvas: { width: 853, height: 479 } }, { width: 854, height: 480 }],
    ["no session over 1080p", {}, { canvas: { width: 3840, height: 2160 } }, { width: 1920, height: 1080 }],
    ["as many frames as it has, whatever the session had", { codec: "vp9", fps: 24 }, { canvas: CANVAS }, { fps: 24 }],
    [
      "a side that is not asked for follows the shape",
      {},
      { videoEncode: { height: 360 } },
      { width: 640, height: 360 },
    ],
    ["60 frames asked for are 30", { fps: 25 }, { videoEncode: { fps: 60 } }, { fps: 30 }],
    ["twice the speed, no more than 30 frames", {}, { tempo: 2 }, { fps: 30, tempo: 2 }],
    ["half the speed, half the frames", {}, { tempo: 0.5 }, { fps: 15 }],
    [
      "a bit rate that is asked for is held",
      {},
      { videoEncode: { bitRateKbps: 500 } },
      { bitRateKbps: 500, holdBitRate: true },
    ],
    ["else it is a ceiling", { codec: "vp9" }, {}, { bitRateKbps: 2627, holdBitRate: false, gopS: 2 }],
    ["keyframes as asked for", {}, { videoEncode: { gopS: 1 } }, { gopS: 1 }],
  ])("%s", (_name, video, options, expected) => {
    expect(planPush(media(video), options).video).toMatchObject({ action: "transcode", ...expected });
  });

  it("a made picture has the session's size, made silence its format", () => {
    const mono = { sampleRateHz: 44_100, channels: 1 };
    expect(planPush(media(null), { canvas: CANVAS }).video).toMatchObject({
      action: "generate",
      width: 1280,
      height: 720,
    });
    expect(planPush(media({}, null), { audioFormat: mono }).audio).toMatchObject({ action: "generate", ...mono });
  });

  it("encoded sound has the session's format, else the one that is asked for, else the source's", () => {
    const mp3 = media({}, { codec: "mp3", channels: 1 });
    const mono = { sampleRateHz: 44_100, channels: 1 };
    expect(plannedAudio(mp3, planPush(mp3, { audioFormat: mono, audioEncode: { channels: 2 } }))).toEqual(mono);
    expect(plannedAudio(mp3, planPush(mp3, { audioEncode: { channels: 1 } }))).toEqual({ ...STEREO, channels: 1 });
    expect(plannedAudio(mp3, planPush(mp3))).toEqual({ ...STEREO, channels: 1 });
    expect(planPush(mp3).audio).toMatchObject({ doubled: false });
    expect(planPush(mp3, { audioFormat: STEREO }).audio).toMatchObject({ channels: 2, doubled: true });
  });
});

describe("what is not as it was asked for is said", () => {
  it.each<[string, PlanOptions, string[]]>([
    ["recorded as asked", { live: false, askedLive: false }, []],
    ["live as asked", { live: true, askedLive: true }, []],
    [
      "live, Mode vod",
      { live: true, askedLive: false },
      ["Mode is vod, but the source is live: it starts at its newest."],
    ],
    [
      "recorded, Mode live",
      { live: false, askedLive: true },
      ["Mode is live, but the source is recorded: it is played from its beginning to its end."],
    ],
    [
      "a live source faster",
      { live: true, tempo: 2 },
      ["A live source cannot be played faster or slower: Tempo is not applied."],
    ],
  ])("%s; all of it is copied", (_name, options, reasons) => {
    expect(planPush(media(), options)).toEqual({ video: { action: "copy" }, audio: { action: "copy" }, reasons });
  });

  it("more frames than rooms take", () => {
    const { reasons } = planPush(media(), { videoEncode: { fps: 60 } });
    expect(reasons).toEqual(["Fps 60 is more than rooms take: it is 30 at most."]);
  });

  it("says that there is no rendition as small as the one that is asked for", () => {
    expect(planPush(media(), { maxHeight: 480 }).reasons).toEqual([
      "The source has no rendition of 480 lines or less: it is played with its 720.",
    ]);
    expect(planPush(media(), { maxHeight: 720 }).reasons).toEqual([]);
  });
});
