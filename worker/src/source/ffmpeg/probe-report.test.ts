import { describe, expect, it } from "vitest";
import { readProbe } from "./probe-report.ts";

const VIDEO = {
  index: 0,
  codec_type: "video",
  codec_name: "h264",
  width: 1280,
  height: 720,
  pix_fmt: "yuv420p",
  has_b_frames: 0,
  avg_frame_rate: "30000/1001",
  r_frame_rate: "30000/1001",
  sample_aspect_ratio: "1:1",
  field_order: "progressive",
  duration: "9.9",
};
const AUDIO = { index: 1, codec_type: "audio", codec_name: "aac", channels: 2, sample_rate: "48000", duration: "10.1" };

function read(streams: readonly object[], duration?: string) {
  return readProbe(JSON.stringify({ streams, format: { format_name: "mov,mp4", duration } }));
}

function video(more: object) {
  return read([{ ...VIDEO, ...more }]).media.video;
}

describe("readProbe", () => {
  it("describes the media", () => {
    expect(read([VIDEO, AUDIO], "12")).toEqual({
      media: {
        container: "mov,mp4",
        durationMs: 10_100,
        video: {
          codec: "h264",
          width: 1280,
          height: 720,
          fps: 30_000 / 1001,
          pixelFormat: "yuv420p",
          hasBFrames: false,
          gopMs: null,
          rotation: 0,
          squarePixels: true,
          interlaced: false,
        },
        audio: { codec: "aac", channels: 2, sampleRateHz: 48_000 },
      },
      videoIndex: 0,
      audioIndex: 1,
    });
  });

  it.each([
    ["12.5", 12_500],
    [undefined, null],
    ["N/A", null],
    ["0.000000", null],
  ])("uses the container's duration %s when no track has one: %s ms", (duration, expected) => {
    expect(read([{ ...AUDIO, duration: undefined }], duration).media.durationMs).toBe(expected);
  });

  it.each([
    [-90, 90],
    [90, 270],
    [180, 180],
    [-180, 180],
    [0, 0],
  ])("reads a rotation of %i counterclockwise as %i clockwise", (rotation, expected) => {
    expect(video({ side_data_list: [{}, { rotation }] })?.rotation).toBe(expected);
  });

  it.each([
    ["16:11", false, 16 / 11],
    ["1:1", true, undefined],
    ["0:1", true, undefined],
    ["N/A", true, undefined],
  ])("reads the sample aspect ratio %s", (sample_aspect_ratio, squarePixels, pixelAspect) => {
    const info = video({ sample_aspect_ratio });
    expect(info?.squarePixels).toBe(squarePixels);
    expect(info?.pixelAspect).toBe(pixelAspect);
  });

  it("reads B-frames, interlacing and an unknown frame rate", () => {
    expect(video({ has_b_frames: 2, field_order: "tt" })).toMatchObject({ hasBFrames: true, interlaced: true });
    expect(video({ avg_frame_rate: "0/0", r_frame_rate: "25/1" })?.fps).toBe(25);
    expect(video({ avg_frame_rate: "0/0", r_frame_rate: "0/0" })?.fps).toBeNull();
  });

  it("does not take a cover picture for a video", () => {
    const cover = { ...VIDEO, index: 0, disposition: { attached_pic: 1, default: 1 } };
    expect(read([cover, AUDIO])).toMatchObject({ media: { video: null }, videoIndex: undefined, audioIndex: 1 });
  });

  it("chooses the default of several tracks, else the largest picture and the first sound", () => {
    const small = { ...VIDEO, index: 2, width: 320, height: 180 };
    const late = { ...AUDIO, index: 3 };
    expect(read([small, VIDEO, AUDIO, late])).toMatchObject({ videoIndex: 0, audioIndex: 1 });
    const marked = [{ ...small, disposition: { default: 1 } }, VIDEO, AUDIO, { ...late, disposition: { default: 1 } }];
    expect(read(marked)).toMatchObject({ videoIndex: 2, audioIndex: 3 });
  });

  it("chooses the first default picture of a file, even if another one is larger", () => {
    const marked = { disposition: { default: 1 } };
    const streams = [
      { ...VIDEO, ...marked, index: 0, width: 320, height: 180 },
      { ...VIDEO, ...marked, index: 1 },
    ];
    expect(read(streams)).toMatchObject({ videoIndex: 0 });
  });

  it("passes over a track that cannot be decoded, and says so", () => {
    const unknown = { index: 1, codec_type: "audio", codec_tag_string: "apac", disposition: { default: 1 } };
    const { media, audioIndex } = read([VIDEO, unknown, { ...AUDIO, index: 2 }]);
    expect(audioIndex).toBe(2);
    expect(media.choices?.join()).toMatch(/unknown \(apac\).*Track 2 of its kind is played instead/);
    const none = read([VIDEO, unknown]);
    expect(none).toMatchObject({ media: { audio: null }, audioIndex: undefined });
    const decodes = new Set(["h264"]);
    const report = { streams: [VIDEO, AUDIO], format: { format_name: "matroska,webm" } };
    expect(readProbe(JSON.stringify(report), { decodes }).media.choices).toEqual([
      "The sound is aac, which this worker's ffmpeg cannot decode.",
    ]);
  });

  it.each([
    ["en", 2, "as requested"],
    ["chi", 3, "as requested"],
    ["zh", 3, "as requested"],
    [2, 3, "as requested"],
    ["fr", 1, 'There is no audio track "fr": the source has 1 (no language named), 2 (zho), 3 (eng).'],
    [4, 1, "There is no audio track 4"],
  ])("chooses the requested audio track %s", (audioTrack, index, reason) => {
    const sounds = [
      { ...AUDIO, index: 1, disposition: { default: 1 } },
      { ...AUDIO, index: 3, tags: { language: "zho" } },
      { ...AUDIO, index: 2, tags: { language: "eng" } },
    ];
    const report = { streams: [VIDEO, ...sounds], format: { format_name: "matroska,webm" } };
    const { media, audioIndex } = readProbe(JSON.stringify(report), { audioTrack });
    expect(audioIndex).toBe(index);
    expect(media.choices?.join() ?? "as requested").toContain(reason);
  });

  it.each([
    [{ codec_tag_string: "encv" }, "MPEG Common Encryption"],
    [{ tags: { enc_key_id: "abc" } }, "Matroska encryption"],
  ])("refuses an encrypted picture and names the scheme: %j", (said, scheme) => {
    expect(() => read([{ ...VIDEO, ...said }, AUDIO])).toThrow(`The source is encrypted (${scheme})`);
  });

  it("uses the duration of the tracks that are played", () => {
    const [picture, sound] = [VIDEO, AUDIO].map((one) => ({ ...one, duration: undefined }));
    const subtitle = { index: 2, codec_type: "subtitle", duration: "45.0" };
    const tags = { DURATION: "00:00:30.021000000" };
    expect(read([{ ...picture, tags }, { ...sound, tags }, subtitle], "45").media).toMatchObject({
      durationMs: 30_021,
    });
    expect(read([picture ?? {}, sound ?? {}, subtitle], "45").media).toMatchObject({
      durationMs: 45_000,
      durationIsRough: true,
    });
    expect(read([picture ?? {}, sound ?? {}], "45").media.durationIsRough).toBeUndefined();
  });

  it("reads the start of a track that begins after the others", () => {
    const { media } = read([
      { ...VIDEO, start_time: "15.0" },
      { ...AUDIO, start_time: "0.0" },
    ]);
    expect([media.video?.startMs, media.audio?.startMs]).toEqual([15_000, undefined]);
  });

  it.each(["", "{", "{}", '{"streams":[{}]}', "null"])("throws a typed error for %j", (text) => {
    expect(() => readProbe(text)).toThrow("ffprobe answered in an unknown way");
  });
});

describe("readProbe of video parameters", () => {
  it.each([
    ["PQ", { color_transfer: "smpte2084", color_primaries: "bt2020" }, true, "PQ"],
    ["HLG", { color_transfer: "arib-std-b67" }, true, "HLG"],
    ["BT.2020", { color_primaries: "bt2020" }, true, undefined],
    ["BT.709", { color_transfer: "bt709", color_primaries: "bt709" }, undefined, undefined],
    ["no colour tags", {}, undefined, undefined],
  ])("reads the colours of %s", (_name, said, wideColours, hdr) => {
    expect([video(said)?.wideColours, video(said)?.hdr]).toEqual([wideColours, hdr]);
  });

  it("reads the bit rates that ffprobe names", () => {
    expect(video({ bit_rate: "1500400" })?.bitRateKbps).toBe(1500.4);
    expect(video({ bit_rate: "N/A" })?.bitRateKbps).toBeUndefined();
    expect(read([{ ...AUDIO, bit_rate: "96000" }]).media.audio?.bitRateKbps).toBe(96);
  });
});
