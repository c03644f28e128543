import { beforeAll, describe, expect, it } from "vitest";
import type { FlvTag } from "../../media/flv/flv-writer.ts";
import { PLAIN_AAC, PLAIN_H264, sampleFlv } from "../../media/flv/sample-flv.test-support.ts";
import { fedTag } from "./fed-tag.ts";
import type { Announcement } from "./tag-feed.ts";
import { type ProbeVerdict, TrackProbe } from "./track-probe.ts";

interface Metadata {
  readonly kind: "metadata";
  readonly announcement: Announcement;
}

function probe(tags: readonly (FlvTag | Metadata)[], elapsedMs = 0): ProbeVerdict {
  const live = new TrackProbe();
  for (const tag of tags) {
    if (tag.kind === "metadata") live.announce(tag.announcement);
    if (tag.kind !== "audio" && tag.kind !== "video") continue;
    const fed = fedTag(tag.kind, tag.timestampMs, tag.payload);
    if (fed !== null) live.observe(fed);
  }
  return live.verdict(elapsedMs);
}

const tag = (kind: FlvTag["kind"], timestampMs: number, hex: string): FlvTag => ({
  kind,
  timestampMs,
  payload: Buffer.from(hex, "hex"),
});
const metadata = (announcement: Announcement): Metadata => ({ kind: "metadata", announcement });
const isKeyframe = (each: FlvTag) => each.kind === "video" && each.payload[0] === 0x17 && each.payload[1] === 1;
const HEVC_KEYFRAME = tag("video", 0, "1c01000000260102");
const ENHANCED_HEVC_KEYFRAME = tag("video", 0, "9168766331000000260102");
const AAC_HEADER = tag("audio", 0, "af001190");

describe("TrackProbe", () => {
  let plain: FlvTag[];
  let reordered: FlvTag[];

  beforeAll(async () => {
    plain = await sampleFlv({ seconds: 1, fps: 25, video: PLAIN_H264, audio: PLAIN_AAC });
    const withBFrames = ["-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p"];
    reordered = await sampleFlv({ seconds: 1, fps: 25, video: withBFrames, audio: PLAIN_AAC });
  });

  it("describes the H.264 and AAC of the stream", () => {
    expect(probe(plain)).toMatchObject({
      name: "ready",
      tracks: {
        video: { codec: "h264", width: 320, height: 180, fps: 25, pixelFormat: "yuv420p", hasBFrames: false },
        audio: { codec: "aac", channels: 2, sampleRateHz: 48_000 },
      },
    });
  });

  it("detects B-frames", () => {
    expect(probe(reordered)).toMatchObject({ name: "ready", tracks: { video: { hasBFrames: true } } });
  });

  it("waits for a keyframe when it joins in the middle", () => {
    expect(probe(plain.filter((each) => !isKeyframe(each)))).toEqual({ name: "wait", missing: "a keyframe" });
  });

  it("waits for the headers and names the missing ones", () => {
    const media = plain.filter((each) => each.kind !== "data" && each.payload[1] === 1);
    const missing = "the video's sequence header and the audio's sequence header";
    expect(probe(media)).toEqual({ name: "wait", missing });
  });

  it.each([
    ["audio", "video"],
    ["video", "audio"],
  ] as const)("accepts a stream with only %s after it has waited for %s", (kind, missing) => {
    const half = plain.filter((each) => each.kind === kind);
    expect(probe(half, 0)).toEqual({ name: "wait", missing });
    expect(probe(half, 1500)).toMatchObject({ name: "ready", tracks: { [missing]: null } });
    expect(probe(half, 1500)).not.toMatchObject({ tracks: { [kind]: null } });
  });

  it("waits longer for a track that the metadata announces", () => {
    const tags = [metadata({ audio: true }), ...plain.filter((each) => each.kind === "video")];
    expect(probe(tags, 1500)).toEqual({ name: "wait", missing: "audio" });
    expect(probe(tags, 5000)).toMatchObject({ name: "ready", tracks: { audio: null } });
  });

  it("also counts the stream's own time as waiting", () => {
    const [header, ...frames] = plain.filter((each) => each.kind === "video");
    const late = frames.map((each) => ({ ...each, timestampMs: each.timestampMs * 3 }));
    expect(header && probe([header, ...late], 0)).toMatchObject({ name: "ready", tracks: { audio: null } });
  });

  it.each([
    ["unofficial", HEVC_KEYFRAME],
    ["enhanced", ENHANCED_HEVC_KEYFRAME],
  ])("names HEVC in its %s form with the size from the metadata", (_form, keyframe) => {
    const told = metadata({ video: { width: 1920, height: 1080, fps: 50 } });
    expect(probe([told, AAC_HEADER, keyframe])).toMatchObject({
      name: "ready",
      tracks: { video: { codec: "hevc", width: 1920, height: 1080, fps: 50, hasBFrames: true } },
    });
  });

  it("names other audio codecs with the parameters of their header", () => {
    const mp3 = tag("audio", 0, "2ffffb90");
    expect(probe([HEVC_KEYFRAME, mp3])).toMatchObject({
      tracks: { audio: { codec: "mp3", channels: 2, sampleRateHz: 44_100 } },
    });
  });

  it.each([
    ["a header that is no AVC configuration", tag("video", 0, "1700000000ff")],
    ["an empty tag", tag("video", 0, "")],
    ["a tag of one byte", tag("audio", 0, "af")],
  ])("survives %s", (_what, hostile) => {
    expect(probe([...plain, hostile])).toMatchObject({ name: "ready" });
  });

  it.each([
    ["is in its header, but has no keyframe yet", (each: FlvTag) => !isKeyframe(each)],
    ["has not come yet", (each: FlvTag) => each.kind !== "video"],
  ])("continues without the picture that %s after it has waited long enough", (_what, keep) => {
    expect(probe(plain.filter(keep), 5000)).toMatchObject({ name: "ready", tracks: { pictureHere: false } });
  });

  it("waits while no media have come", () => {
    expect(probe([], 60_000)).toEqual({ name: "wait", missing: "audio and video" });
  });
});
