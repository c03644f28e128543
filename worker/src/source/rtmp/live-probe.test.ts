import { beforeAll, describe, expect, it } from "vitest";
import type { FlvTag } from "../../flv/flv-writer.ts";
import { PLAIN_AAC, PLAIN_H264, sampleFlv } from "../../flv/sample-flv.ts";
import { AmfEcmaArray, encodeAmf0 } from "../../rtmp/amf0.ts";
import { LiveProbe, type ProbeVerdict } from "./live-probe.ts";

function probe(tags: readonly FlvTag[], elapsedMs = 0): ProbeVerdict {
  const live = new LiveProbe();
  for (const tag of tags) live.observe(tag);
  return live.verdict(elapsedMs);
}

const tag = (kind: FlvTag["kind"], timestampMs: number, hex: string): FlvTag => ({
  kind,
  timestampMs,
  payload: Buffer.from(hex, "hex"),
});
const metadata = (entries: Record<string, number>): FlvTag => ({
  kind: "data",
  timestampMs: 0,
  payload: encodeAmf0(["onMetaData", new AmfEcmaArray(entries)]),
});
const isKeyframe = (each: FlvTag) => each.kind === "video" && each.payload[0] === 0x17 && each.payload[1] === 1;
const HEVC_KEYFRAME = tag("video", 0, "1c01000000260102");
const ENHANCED_HEVC_KEYFRAME = tag("video", 0, "9168766331000000260102");
const AAC_HEADER = tag("audio", 0, "af001190");

describe("LiveProbe", () => {
  let plain: FlvTag[];
  let reordered: FlvTag[];

  beforeAll(async () => {
    plain = await sampleFlv({ seconds: 1, fps: 25, video: PLAIN_H264, audio: PLAIN_AAC });
    const withBFrames = ["-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p"];
    reordered = await sampleFlv({ seconds: 1, fps: 25, video: withBFrames, audio: PLAIN_AAC });
  });

  it("describes H.264 and AAC as they are in the stream", () => {
    expect(probe(plain)).toMatchObject({
      name: "ready",
      media: {
        container: "flv",
        durationMs: null,
        video: { codec: "h264", width: 320, height: 180, fps: 25, pixelFormat: "yuv420p", hasBFrames: false },
        audio: { codec: "aac", channels: 2, sampleRateHz: 48_000 },
      },
    });
  });

  it("sees B-frames", () => {
    expect(probe(reordered)).toMatchObject({ name: "ready", media: { video: { hasBFrames: true } } });
  });

  it("waits for a keyframe when it joins in the middle", () => {
    expect(probe(plain.filter((each) => !isKeyframe(each)))).toEqual({ name: "wait", missing: "a keyframe" });
  });

  it("waits for the headers, and says which are missing", () => {
    const media = plain.filter((each) => each.kind !== "data" && each.payload[1] === 1);
    const missing = "the video's sequence header and the audio's sequence header";
    expect(probe(media)).toEqual({ name: "wait", missing });
  });

  it.each([
    ["audio", "video"],
    ["video", "audio"],
  ] as const)("takes a stream with only %s for one once it has waited for %s", (kind, missing) => {
    const half = plain.filter((each) => each.kind === kind);
    expect(probe(half, 0)).toEqual({ name: "wait", missing });
    expect(probe(half, 1500)).toMatchObject({ name: "ready", media: { [missing]: null } });
    expect(probe(half, 1500)).not.toMatchObject({ media: { [kind]: null } });
  });

  it("waits longer for a track that the metadata announces", () => {
    const tags = [metadata({ audiocodecid: 10 }), ...plain.filter((each) => each.kind === "video")];
    expect(probe(tags, 1500)).toEqual({ name: "wait", missing: "audio" });
    expect(probe(tags, 5000)).toMatchObject({ name: "ready", media: { audio: null } });
  });

  it("counts the stream's own time as waiting too", () => {
    const [header, ...frames] = plain.filter((each) => each.kind === "video");
    const late = frames.map((each) => ({ ...each, timestampMs: each.timestampMs * 3 }));
    expect(header && probe([header, ...late], 0)).toMatchObject({ name: "ready", media: { audio: null } });
  });

  it.each([
    ["unofficial", HEVC_KEYFRAME],
    ["enhanced", ENHANCED_HEVC_KEYFRAME],
  ])("names HEVC in its %s form, with the size that the metadata tells", (_form, keyframe) => {
    const told = metadata({ width: 1920, height: 1080, framerate: 50 });
    expect(probe([told, AAC_HEADER, keyframe])).toMatchObject({
      name: "ready",
      media: { video: { codec: "hevc", width: 1920, height: 1080, fps: 50, hasBFrames: true } },
    });
  });

  it("names other audio codecs with what their header tells", () => {
    const mp3 = tag("audio", 0, "2ffffb90");
    expect(probe([HEVC_KEYFRAME, mp3])).toMatchObject({
      media: { audio: { codec: "mp3", channels: 2, sampleRateHz: 44_100 } },
    });
  });

  it.each([
    ["a header that is no AVC configuration", tag("video", 0, "1700000000ff")],
    ["metadata that cannot be read", tag("data", 0, "07")],
    ["an empty tag", tag("video", 0, "")],
    ["a tag of one byte", tag("audio", 0, "af")],
  ])("survives %s", (_what, hostile) => {
    expect(probe([...plain, hostile])).toMatchObject({ name: "ready" });
  });

  it("waits while there is nothing at all", () => {
    expect(probe([], 60_000)).toEqual({ name: "wait", missing: "audio and video" });
  });
});
