import { describe, expect, it } from "vitest";
import { StreamMeasure } from "./stream-measure.ts";

/** x264's SPS and PPS of a 1280×720 and of a 320×180 High profile stream, as avcC. */
const AVCC_720P = "0164001fffe1001a6764001facd9405005bb011000000300100000030320f183196001000668ebe3cb22c0fdf8f800";
const AVCC_180P = "0164000cffe1001a6764000cacd941419f9f011000000300100000030320f142996001000668ebe3cb22c0fdf8f800";

function videoHeader(avcc: string): Buffer {
  return Buffer.concat([Buffer.from([0x17, 0, 0, 0, 0]), Buffer.from(avcc, "hex")]);
}

function picture(options: { keyframe?: boolean; compositionMs?: number; bytes?: number } = {}): Buffer {
  const body = Buffer.alloc(options.bytes ?? 100);
  body[0] = options.keyframe === true ? 0x17 : 0x27;
  body[1] = 1;
  body.writeIntBE(options.compositionMs ?? 0, 2, 3);
  return body;
}

const AUDIO_HEADER = Buffer.from([0xaf, 0, 0x11, 0x90]); // AAC LC, 48 kHz, stereo
const SOUND = Buffer.from([0xaf, 1, 0x21, 0x10]);

/** Feeds tags that arrive exactly at their timestamps, counted from `startAtMs`. */
function feeder(startAtMs = 1_000_000) {
  const measure = new StreamMeasure();
  return {
    measure,
    video: (timestampMs: number, payload: Buffer, atMs = startAtMs + timestampMs) =>
      measure.observe({ kind: "video", timestampMs, payload }, atMs),
    audio: (timestampMs: number, payload: Buffer, atMs = startAtMs + timestampMs) =>
      measure.observe({ kind: "audio", timestampMs, payload }, atMs),
  };
}

describe("StreamMeasure", () => {
  it("reports null for tracks that have not come", () => {
    expect(new StreamMeasure().report()).toEqual({
      video: null,
      audio: null,
      metadata: null,
      bytes: 0,
      bitRateKbps: 0,
      averageBitRateKbps: 0,
      avSkewMs: null,
      largestAvSkewMs: null,
    });
  });

  it("counts frames, keyframes, the rate and the group of pictures of a regular stream", () => {
    const { measure, video } = feeder();
    video(0, videoHeader(AVCC_720P));
    for (let i = 0; i < 100; i++) video(i * 40, picture({ keyframe: i % 25 === 0 }));
    expect(measure.report().video).toMatchObject({
      codec: "h264",
      width: 1280,
      height: 720,
      fps: 25,
      tags: 100,
      sequenceHeaders: 1,
      keyframes: 4,
      longestGopMs: 1000,
      longestGopFrames: 25,
      bFrames: 0,
      largestGapMs: 40,
      largestArrivalGapMs: 40,
      timestampsBack: 0,
      firstTimestampMs: 0,
      lastTimestampMs: 3960,
      firstTagAtMs: 1_000_000,
      firstKeyframeAtMs: 1_000_000,
      lastTagAtMs: 1_003_960,
    });
  });

  it("tells a gap in the timestamps from a gap in the arrivals", () => {
    const { measure, video } = feeder();
    video(0, picture(), 5000);
    video(400, picture(), 5040);
    video(440, picture(), 5940);
    expect(measure.report().video).toMatchObject({ largestGapMs: 400, largestArrivalGapMs: 900 });
  });

  it("counts timestamps that go back and does not take them for gaps", () => {
    const { measure, video } = feeder();
    for (const timestampMs of [1000, 1040, 1030, 1070]) video(timestampMs, picture());
    expect(measure.report().video).toMatchObject({ timestampsBack: 1, largestGapMs: 40, lastTimestampMs: 1070 });
  });

  it("continues across the wrap of 32-bit timestamps", () => {
    const { measure, video, audio } = feeder();
    video(2 ** 32 - 40, picture());
    video(0, picture());
    video(40, picture());
    audio(40, SOUND);
    const report = measure.report();
    expect(report.video).toMatchObject({ timestampsBack: 0, largestGapMs: 40, lastTimestampMs: 2 ** 32 + 40, fps: 25 });
    expect(report.avSkewMs).toBe(0);
  });

  it("counts frames with a composition time as B-frames, negative ones too", () => {
    const { measure, video } = feeder();
    video(0, picture({ keyframe: true, compositionMs: 80 }));
    video(40, picture({ compositionMs: -40 }));
    video(80, picture());
    expect(measure.report().video?.bFrames).toBe(2);
  });

  it("counts a change of resolution once, and repeated headers of the same size not at all", () => {
    const { measure, video } = feeder();
    for (const avcc of [AVCC_720P, AVCC_720P, AVCC_180P, AVCC_180P]) video(0, videoHeader(avcc));
    expect(measure.report().video).toMatchObject({ sequenceHeaders: 4, resolutionChanges: 1, width: 320, height: 180 });
  });

  it("reads the audio format and the skew between audio and video", () => {
    const { measure, video, audio } = feeder();
    audio(0, AUDIO_HEADER);
    audio(0, SOUND);
    video(0, picture());
    video(90, picture());
    audio(70, SOUND);
    const report = measure.report();
    expect(report.audio).toMatchObject({
      codec: "aac",
      sampleRateHz: 48_000,
      channels: 2,
      tags: 2,
      sequenceHeaders: 1,
    });
    expect(report).toMatchObject({ avSkewMs: -20, largestAvSkewMs: 90 });
  });

  it("averages the bit rate over the last second and over the session", () => {
    const { measure, video } = feeder();
    for (let i = 0; i <= 20; i++) video(i * 100, picture({ bytes: i < 10 ? 1250 : 2500 }));
    expect(measure.report()).toMatchObject({ bytes: 40_000, bitRateKbps: 200, averageBitRateKbps: 160 });
  });

  it("keeps the plain values of onMetaData", () => {
    const { measure } = feeder();
    measure.observeMetadata({ width: 1280, encoder: "x".repeat(500), nested: { a: 1 }, nothing: null, stereo: true });
    expect(measure.report().metadata).toEqual({ width: 1280, encoder: "x".repeat(200), stereo: true });
  });

  it("reports the kind of each tag, also of bodies that are cut short anywhere", () => {
    const { video, audio, measure } = feeder();
    expect(video(0, videoHeader(AVCC_720P))).toBe("sequence-header");
    expect(video(0, picture({ keyframe: true }))).toBe("keyframe");
    expect(video(0, picture())).toBe("frame");
    expect(video(0, Buffer.alloc(0))).toBe("other");
    expect(video(0, Buffer.from([0x17, 2, 0, 0, 0]))).toBe("other");
    for (const body of [videoHeader(AVCC_720P), Buffer.from([0x91, 0x68, 0x76, 0x63, 0x31, 0, 0, 0])]) {
      for (let length = 0; length < body.length; length++) video(0, body.subarray(0, length));
    }
    for (let length = 0; length < AUDIO_HEADER.length; length++) audio(0, AUDIO_HEADER.subarray(0, length));
    expect(measure.report().video).toMatchObject({ width: 1280, height: 720, resolutionChanges: 0 });
  });
});
