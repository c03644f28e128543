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

describe("planPush", () => {
  describe("when a source fits the room", () => {
    it.each<[string, MediaInfo]>([
      ["H.264 and AAC as the room takes them", media()],
      ["mono at 44100 Hz", media({}, { channels: 1, sampleRateHz: 44_100 })],
      ["full-range yuv420p", media({ pixelFormat: "yuvj420p" })],
      ["1080p at 29.97 frames a second", media({ width: 1920, height: 1080, fps: 30_000 / 1001 })],
      ["a rate a little over 30", media({ fps: 30.01 })],
      ["keyframes 4 s apart", media({ gopMs: 4000 })],
      ["a source of unknown parameters", media({ gopMs: null, fps: null, pixelFormat: null })],
      ["a variable frame rate", media({ fps: 17.32 })],
      ["any size within the limit, odd ones too", media({ width: 853, height: 479 })],
    ])("copies %s", (_name, source) => {
      const plan = planPush(source);
      expect(plan).toEqual({ video: { action: "copy" }, audio: { action: "copy" }, reasons: [] });
      expect(copiesAll(plan)).toBe(true);
    });
  });

  describe("when a source does not fit any room", () => {
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
    ])("transcodes the video with a reason: %s", (_name, source, reason) => {
      const plan = planPush(source);
      expect(plan.reasons).toEqual([reason]);
      expect(toSummary(plan)).toEqual({ video: "transcode", audio: "copy", reasons: [reason] });
      expect(copiesAll(plan)).toBe(false);
    });

    it.each<[string, MediaInfo, string]>([
      ["another codec", media({}, { codec: "mp3" }), "The audio is mp3; rooms take AAC."],
      ["5.1", media({}, { channels: 6 }), "The audio has 6 channels, more than 2."],
      ["22050 Hz", media({}, { sampleRateHz: 22_050 }), "The audio is sampled at 22050 Hz, neither 44100 nor 48000."],
    ])("transcodes the audio with a reason: %s", (_name, source, reason) => {
      const plan = planPush(source);
      expect(plan.audio).toMatchObject({ action: "transcode", sampleRateHz: 48_000, channels: 2 });
      expect(toSummary(plan)).toEqual({ video: "copy", audio: "transcode", reasons: [reason] });
    });

    it("gives all reasons when several apply", () => {
      const plan = planPush(media({ codec: "vp9", fps: 60 }, { codec: "opus" }));
      expect(plan.reasons).toHaveLength(3);
    });
  });

  describe("when the video is HDR", () => {
    it.each(["PQ", "HLG"] as const)("tone-maps %s when ffmpeg can", (hdr) => {
      const plan = planPush(media({ wideColours: true, hdr }));
      expect(plan.video).toMatchObject({ action: "transcode", toBt709: true, tonesOf: hdr });
      expect(plan.reasons).toEqual([`The colours are HDR (${hdr}); rooms take BT.709: they are tone-mapped.`]);
      expect(mapsTones(plan)).toBe(true);
    });

    it("only converts the colours and says so when ffmpeg cannot tone-map", () => {
      const plan = planPush(media({ wideColours: true, hdr: "PQ" }), { toneMapping: false });
      expect(plan.video).toMatchObject({ action: "transcode", toBt709: true, tonesOf: undefined });
      expect(plan.reasons).toEqual([
        expect.stringMatching(/^The colours are HDR \(PQ\); .* only converted .* no zscale/),
      ]);
      expect(mapsTones(plan)).toBe(false);
    });

    it("leaves the colours of a video without HDR unchanged", () => {
      const plan = planPush(media({ codec: "vp9" }));
      expect(plan.video).toMatchObject({ toBt709: false, tonesOf: undefined });
      expect(mapsTones(plan)).toBe(false);
    });
  });

  describe("when a track is missing", () => {
    it("makes a picture for a source with sound only", () => {
      const plan = planPush(media(null));
      expect(plan.video).toMatchObject({ action: "generate", width: 640, height: 360, fps: 15 });
      expect(plan.reasons).toEqual(["There is no video: a picture is made."]);
    });

    it("makes silence for a source with pictures only", () => {
      const plan = planPush(media({}, null));
      expect(plan.audio).toMatchObject({ action: "generate", sampleRateHz: 48_000, channels: 2 });
      expect(plan.reasons).toEqual(["There is no audio: silence is made."]);
    });
  });

  describe("when it fits the picture into the room", () => {
    it.each<[string, Partial<VideoInfo>, [number, number, number]]>([
      ["4K keeps its aspect ratio", { width: 3840, height: 2160 }, [1920, 1080, 30]],
      ["cinema wide keeps its aspect ratio with even sides", { width: 4096, height: 1716 }, [1920, 804, 30]],
      ["upright 1080p fits the height", { width: 1080, height: 1920 }, [608, 1080, 30]],
      ["odd sizes become even", { width: 853, height: 479, hasBFrames: true }, [854, 480, 30]],
      ["a small picture is not made larger", { width: 320, height: 180, hasBFrames: true }, [320, 180, 30]],
      ["rotation swaps the sides", { rotation: 90 }, [608, 1080, 30]],
      ["a rotation by 180 degrees keeps the sides", { rotation: 180 }, [1280, 720, 30]],
      [
        "wide pixels make the picture wider",
        { width: 720, height: 576, squarePixels: false, pixelAspect: 16 / 11 },
        [1048, 576, 30],
      ],
      ["60 frames a second become 30", { fps: 60 }, [1280, 720, 30]],
      ["50 frames a second become 25", { fps: 50 }, [1280, 720, 25]],
      ["120 frames a second become 30", { fps: 120 }, [1280, 720, 30]],
      ["48 frames a second become 24", { fps: 48 }, [1280, 720, 24]],
      ["40 frames a second become 30", { fps: 40 }, [1280, 720, 30]],
      ["24 frames a second stay when the codec is transcoded", { fps: 24, codec: "vp8" }, [1280, 720, 24]],
      ["an unknown frame rate becomes 30", { fps: null, codec: "vp8" }, [1280, 720, 30]],
    ])("%s", (_name, video, [width, height, fps]) => {
      const source = media(video);
      expect(plannedPicture(source, planPush(source))).toMatchObject({ width, height, fps });
    });

    it("keeps the source's size when the video is copied", () => {
      const source = media({ width: 640, height: 360, fps: 24 });
      expect(plannedPicture(source, planPush(source))).toEqual({ width: 640, height: 360, fps: 24 });
    });
  });

  const STEREO = { sampleRateHz: 48_000, channels: 2 };
  const CANVAS = { width: 1280, height: 720 };

  describe("when a source already has the format of the session or the request", () => {
    it.each<[string, PlanOptions, MediaInfo]>([
      ["the session's size and sound", { canvas: CANVAS, audioFormat: STEREO }, media()],
      ["the session's size at any frame rate", { canvas: CANVAS }, media({ fps: 24 })],
      ["unchanged volume and tempo", { volume: 100, tempo: 1 }, media()],
      ["the size that is asked for", { videoEncode: { width: 1280, height: 720 } }, media()],
      ["the width that is asked for", { videoEncode: { width: 1280 } }, media()],
      ["the frame rate that is asked for", { videoEncode: { fps: 30 } }, media({ fps: 30_000 / 1001 })],
      ["a lower bit rate than asked for", { videoEncode: { bitRateKbps: 2000 } }, media({ bitRateKbps: 1500 })],
      ["a little higher bit rate than asked for", { videoEncode: { bitRateKbps: 2000 } }, media({ bitRateKbps: 2150 })],
      ["keyframes as near as asked for", { videoEncode: { gopS: 2 } }, media({ gopMs: 2080 })],
      ["the sound that is asked for", { audioEncode: { sampleRateHz: 48_000, channels: 2 } }, media()],
      ["a low audio bit rate", { audioEncode: { bitRateKbps: 128 } }, media({}, { bitRateKbps: 96 })],
      ["the session's format before the request's", { audioFormat: STEREO, audioEncode: { channels: 1 } }, media()],
    ])("copies a source with %s", (_name, options, source) => {
      expect(planPush(source, options)).toMatchObject({ reasons: [] });
    });
  });

  describe("when a source differs from the format of the session or the request", () => {
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
        "too high a bit rate",
        { videoEncode: { bitRateKbps: 800 } },
        media({ bitRateKbps: 1500.4 }),
        "The video has 1500 kbit/s; 800 are asked for.",
      ],
      [
        "an unknown bit rate",
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
        "an unknown distance of keyframes",
        { videoEncode: { gopS: 1 } },
        media({ gopMs: null }),
        "Keyframes are at an unknown distance; 1 s are asked for.",
      ],
    ])("transcodes the video with a reason: %s", (_name, options, source, reason) => {
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
        "too high a bit rate",
        { audioEncode: { bitRateKbps: 64 } },
        media({}, { bitRateKbps: 192 }),
        "The audio has 192 kbit/s; 64 are asked for.",
      ],
      ["louder", { volume: 150 }, media(), "The volume is 150 %."],
      ["silenced", { volume: 0 }, media(), "The volume is 0 %."],
    ])("transcodes the audio with a reason: %s", (_name, options, source, reason) => {
      expect(toSummary(planPush(source, options))).toEqual({ video: "copy", audio: "transcode", reasons: [reason] });
    });

    it("transcodes both tracks when the source is played faster", () => {
      const plan = planPush(media(), { tempo: 1.5 });
      expect(toSummary(plan)).toEqual({
        video: "transcode",
        audio: "transcode",
        reasons: ["The video is played at 1.5 times its speed.", "The audio is played at 1.5 times its speed."],
      });
      expect(plannedTempo(plan)).toBe(1.5);
    });
  });

  describe("when it makes or encodes a track", () => {
    it.each<[string, Partial<VideoInfo>, PlanOptions, object]>([
      [
        "an upright picture is centred in a wide session",
        { width: 720, height: 1280 },
        { canvas: CANVAS },
        { picture: { width: 406, height: 720 } },
      ],
      [
        "a 4:3 picture is centred in a wide session",
        { width: 640, height: 480 },
        { canvas: CANVAS },
        { picture: { width: 960, height: 720 } },
      ],
      [
        "a small picture is enlarged to the session",
        { width: 320, height: 180 },
        { canvas: CANVAS },
        { picture: { width: 1280, height: 720 } },
      ],
      [
        "an odd size of the session becomes even",
        {},
        { canvas: { width: 853, height: 479 } },
        { width: 854, height: 480 },
      ],
      [
        "a session above 1080p is limited to it",
        {},
        { canvas: { width: 3840, height: 2160 } },
        { width: 1920, height: 1080 },
      ],
      ["the frame rate follows the source", { codec: "vp9", fps: 24 }, { canvas: CANVAS }, { fps: 24 }],
      [
        "a side that is not requested follows the aspect ratio",
        {},
        { videoEncode: { height: 360 } },
        { width: 640, height: 360 },
      ],
      ["60 requested frames a second become 30", { fps: 25 }, { videoEncode: { fps: 60 } }, { fps: 30 }],
      ["twice the speed keeps at most 30 frames a second", {}, { tempo: 2 }, { fps: 30, tempo: 2 }],
      ["half the speed has half the frames a second", {}, { tempo: 0.5 }, { fps: 15 }],
      [
        "a requested bit rate is held",
        {},
        { videoEncode: { bitRateKbps: 500 } },
        { bitRateKbps: 500, holdBitRate: true },
      ],
      [
        "a bit rate that is not requested is a ceiling",
        { codec: "vp9" },
        {},
        { bitRateKbps: 2627, holdBitRate: false, gopS: 2 },
      ],
      ["keyframes have the requested distance", {}, { videoEncode: { gopS: 1 } }, { gopS: 1 }],
    ])("%s", (_name, video, options, expected) => {
      expect(planPush(media(video), options).video).toMatchObject({ action: "transcode", ...expected });
    });

    it("makes a picture in the session's size and silence in the session's format", () => {
      const mono = { sampleRateHz: 44_100, channels: 1 };
      expect(planPush(media(null), { canvas: CANVAS }).video).toMatchObject({
        action: "generate",
        width: 1280,
        height: 720,
      });
      expect(planPush(media({}, null), { audioFormat: mono }).audio).toMatchObject({ action: "generate", ...mono });
    });

    it("encodes sound in the session's format, else the requested one, else the source's", () => {
      const mp3 = media({}, { codec: "mp3", channels: 1 });
      const mono = { sampleRateHz: 44_100, channels: 1 };
      expect(plannedAudio(mp3, planPush(mp3, { audioFormat: mono, audioEncode: { channels: 2 } }))).toEqual(mono);
      expect(plannedAudio(mp3, planPush(mp3, { audioEncode: { channels: 1 } }))).toEqual({ ...STEREO, channels: 1 });
      expect(plannedAudio(mp3, planPush(mp3))).toEqual({ ...STEREO, channels: 1 });
      expect(planPush(mp3).audio).toMatchObject({ doubled: false });
      expect(planPush(mp3, { audioFormat: STEREO }).audio).toMatchObject({ channels: 2, doubled: true });
    });
  });

  describe("when a request cannot be met", () => {
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
    ])("copies the source and explains: %s", (_name, options, reasons) => {
      expect(planPush(media(), options)).toEqual({ video: { action: "copy" }, audio: { action: "copy" }, reasons });
    });

    it("says that more than 30 frames a second are not sent", () => {
      const { reasons } = planPush(media(), { videoEncode: { fps: 60 } });
      expect(reasons).toEqual(["Fps 60 is more than rooms take: it is 30 at most."]);
    });

    it("says that no rendition is as small as the requested height", () => {
      expect(planPush(media(), { maxHeight: 480 }).reasons).toEqual([
        "The source has no rendition of 480 lines or less: it is played with its 720.",
      ]);
      expect(planPush(media(), { maxHeight: 720 }).reasons).toEqual([]);
    });
  });
});
