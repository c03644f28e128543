import { describe, expect, it } from "vitest";
import type { AudioReport, SessionReport, VideoReport } from "../emulator/room-report.ts";
import { aboutFrames, problemsOf } from "./verdict.ts";

const track = {
  tags: 300,
  bytes: 1000,
  sequenceHeaders: 1,
  firstTagAtMs: 0,
  lastTagAtMs: 10_000,
  firstTimestampMs: 0,
  lastTimestampMs: 10_000,
  largestGapMs: 34,
  largestArrivalGapMs: 60,
  timestampsBack: 0,
};

const video: VideoReport = {
  ...track,
  codec: "h264",
  width: 1280,
  height: 720,
  fps: 30,
  keyframes: 5,
  firstKeyframeAtMs: 0,
  bFrames: 0,
  reorderedFrames: 0,
  longestGopMs: 2000,
  longestGopFrames: 60,
  resolutionChanges: 0,
};

const audio: AudioReport = { ...track, codec: "aac", sampleRateHz: 48_000, channels: 2 };

function session(changes: { video?: VideoReport | null; audio?: AudioReport | null } & Partial<SessionReport> = {}) {
  const { video: changedVideo = video, audio: changedAudio = audio, ...rest } = changes;
  return {
    number: 1,
    remoteAddress: "127.0.0.1",
    connectedAtMs: 0,
    publishedAtMs: 0,
    endedAtMs: 10_000,
    endReason: "left",
    stream: {
      video: changedVideo,
      audio: changedAudio,
      metadata: null,
      bytes: 0,
      bitRateKbps: 0,
      averageBitRateKbps: 0,
      avSkewMs: 0,
      largestAvSkewMs: 0,
    },
    ...rest,
  } satisfies SessionReport;
}

const expected = { frames: aboutFrames(300), endReason: "left" } as const;

describe("problemsOf", () => {
  it("returns no problem for a complete clip", () => {
    expect(problemsOf(session(), expected)).toEqual([]);
  });

  it.each([
    { what: "an empty room", seen: undefined, problem: "nobody published into the room" },
    { what: "a missing video track", seen: session({ video: null }), problem: "no video came" },
    { what: "a missing audio track", seen: session({ audio: null }), problem: "no audio came" },
    {
      what: "too few pictures",
      seen: session({ video: { ...video, tags: 296 } }),
      problem: "296 pictures came, expected 297 to 303",
    },
    {
      what: "too many pictures",
      seen: session({ video: { ...video, tags: 304 } }),
      problem: "304 pictures came, expected 297 to 303",
    },
    {
      what: "a gap in the video",
      seen: session({ video: { ...video, largestGapMs: 101 } }),
      problem: "a gap of 101 ms in the video",
    },
    {
      what: "a gap in the audio",
      seen: session({ audio: { ...audio, largestGapMs: 150 } }),
      problem: "a gap of 150 ms in the audio",
    },
    {
      what: "timestamps that go back",
      seen: session({ video: { ...video, timestampsBack: 2 } }),
      problem: "video timestamps went back 2 times",
    },
    {
      what: "B-frames",
      seen: session({ video: { ...video, bFrames: 7 } }),
      problem: "7 pictures are B-frames, which a room cannot show",
    },
    {
      what: "a lost connection",
      seen: session({ endReason: "disconnected" }),
      problem: 'the publisher\'s session ended as "disconnected", expected "left"',
    },
  ])("returns one problem for $what", ({ seen, problem }) => {
    expect(problemsOf(seen, expected)).toEqual([problem]);
  });
});
