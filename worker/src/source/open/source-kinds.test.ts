import { parseAddressPolicy } from "@roomcast/shared";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Egress } from "../../egress/egress.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import { findMediaTools, type MediaTools } from "../ffmpeg/media-tools.ts";
import type { Source, SourceEnd } from "../source.ts";
import { type Fault, MediaServer, media, readToEnd } from "../sources.test-support.ts";
import { decode, firstPicture, soundOf } from "../written-flv.test-support.ts";
import { type OpenSourceOptions, SourceFactory } from "./open-source.ts";
import { SAMPLE, type SampleName, sampleMedia, turned } from "./sample-media.test-support.ts";

const log = pino({ level: "silent" });
let tools: MediaTools;
let server: MediaServer;
let egress: Egress;
let sources: SourceFactory;
let sample: (name: SampleName) => Promise<Buffer | undefined>;
const opened: Source[] = [];

beforeAll(async () => {
  const found = await findMediaTools();
  if (found.name === "missing") throw new Error(found.problems.map(({ message }) => message).join("\n"));
  tools = found.tools;
  sample = await sampleMedia({ path: tools.ffmpegPath, version: tools.ffmpegVersion });
  server = await MediaServer.start();
  egress = new Egress({ policy: parseAddressPolicy(["127.0.0.1"]) });
  sources = await SourceFactory.start({ tools, egress });
}, 60_000);

afterEach(async () => {
  await Promise.all(opened.splice(0).map((source) => source.close()));
});

afterAll(async () => {
  await sources.close();
  await egress.close();
  await server.stop();
});

async function open(url: string, more: Partial<OpenSourceOptions> = {}): Promise<Source> {
  const { signal } = new AbortController();
  const source = await sources.open({ url, live: false, startAtMs: 0, signal, log, ...more });
  opened.push(source);
  return source;
}

interface Played {
  readonly source: Source;
  readonly tags: readonly MediaTag[];
  readonly end: SourceEnd;
}

async function play(name: SampleName, more: Partial<OpenSourceOptions> = {}, fault: Fault = "none"): Promise<Played> {
  const body = await sample(name);
  if (body === undefined) throw new Error(`This ffmpeg cannot make ${name}.`);
  const source = await open(server.serve(name, body, fault), more);
  return { source, ...(await readToEnd(source)) };
}

/** What any room takes, whole: decodable, without B-frames, as long as the source, from its headers on. */
async function expectFitForRooms({ source, tags, end }: Played, seconds: number): Promise<void> {
  expect(end).toEqual({ name: "finished" });
  const [first, second] = tags;
  expect([first, second].map((tag) => tag?.sequenceHeader)).toEqual([true, true]);
  expect(new Set([first?.kind, second?.kind])).toEqual(new Set(["audio", "video"]));
  expect(media(tags, "video")[0]?.keyframe).toBe(true);
  const { width, height, audioFormat } = source.info;
  const decoded = await decode(tools.ffprobePath, tags);
  expect(decoded).toMatchObject({
    complaints: "",
    frames: media(tags, "video").length,
    video: { codec: "h264", size: `${width}x${height}`, bFrames: 0 },
    audio: { codec: "aac", ...audioFormat },
  });
  expect(decoded.video.pixelFormat).toMatch(/^yuvj?420p$/);
  for (const kind of ["audio", "video"] as const) {
    const times = media(tags, kind).map(({ dtsMs }) => dtsMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times[0]).toBeLessThan(100);
    expect(times.at(-1)).toBeGreaterThan(seconds * 1000 - 250);
    expect(times.at(-1)).toBeLessThan(seconds * 1000 + 100);
  }
}

const FRAMES = SAMPLE.seconds * SAMPLE.fps;

describe("SourceFactory with a file that is copied", () => {
  it.each<SampleName>(["front.mp4", "end.mp4", "quick.mov", "fragmented.mp4", "copy.mkv", "copy.flv", "copy.ts"])(
    "copies every frame of %s",
    async (name) => {
      const played = await play(name);
      expect(played.source.info.plan).toEqual({ video: "copy", audio: "copy", reasons: [] });
      expect(played.source.info).toMatchObject({
        live: false,
        width: SAMPLE.width,
        height: SAMPLE.height,
        fps: expect.closeTo(SAMPLE.fps, 0),
      });
      await expectFitForRooms(played, SAMPLE.seconds);
      expect(media(played.tags, "video")).toHaveLength(FRAMES);
    },
  );

  it("keeps each picture's own time in variable-rate.mkv", async () => {
    const played = await play("variable-rate.mkv");
    expect(played.source.info.plan.reasons).toEqual([]);
    await expectFitForRooms(played, SAMPLE.seconds);
    const times = media(played.tags, "video").map(({ dtsMs }) => dtsMs);
    const steps = new Set(times.slice(1).map((time, at) => Math.round(time - (times[at] ?? 0))));
    // Of ten pictures at 25 a second the last four were left out.
    expect(steps).toEqual(new Set([40, 200]));
  });
});

describe("SourceFactory with a source that needs an encoded or made track", () => {
  it.each<[SampleName, string, string, RegExp, number]>([
    ["vp8.webm", "transcode", "transcode", /is vp8.*is vorbis/, FRAMES],
    ["vp9.webm", "transcode", "transcode", /is vp9.*is opus/, FRAMES],
    ["hevc.mp4", "transcode", "copy", /is hevc/, FRAMES],
    ["b-frames.mp4", "transcode", "copy", /B-frames/, FRAMES],
    ["444.mp4", "transcode", "copy", /yuv444p/, FRAMES],
    ["10-bit.mp4", "transcode", "copy", /yuv420p10le/, FRAMES],
    ["hdr.mkv", "transcode", "copy", /yuv420p10le.*HDR/, FRAMES],
    ["interlaced.ts", "transcode", "copy", /interlaced/, FRAMES],
    ["wide-pixels.mp4", "transcode", "copy", /not square/, FRAMES],
    ["60-fps.mp4", "transcode", "copy", /60 frames/, SAMPLE.seconds * 30],
    ["5.1.mp4", "copy", "transcode", /6 channels/, FRAMES],
    ["22050-hz.mp4", "copy", "transcode", /22050 Hz/, FRAMES],
    ["mp3-sound.mp4", "copy", "transcode", /is mp3/, FRAMES],
    ["no-sound.mkv", "copy", "generate", /no audio/, FRAMES],
    ["cover.m4a", "generate", "copy", /no video/, SAMPLE.seconds * 15],
    ["cover.mp3", "generate", "transcode", /no video.*is mp3/, SAMPLE.seconds * 15],
    ["sound.mp3", "generate", "transcode", /no video/, SAMPLE.seconds * 15],
    ["sound.m4a", "generate", "copy", /no video/, SAMPLE.seconds * 15],
    ["sound.wav", "generate", "transcode", /pcm_s16le/, SAMPLE.seconds * 15],
    ["sound.ogg", "generate", "transcode", /vorbis/, SAMPLE.seconds * 15],
    ["opus.ogg", "generate", "transcode", /opus/, SAMPLE.seconds * 15],
  ])("opens %s with video %s and audio %s", async (name, video, audio, reasons, frames) => {
    const played = await play(name);
    expect(played.source.info.plan).toMatchObject({ video, audio });
    expect(played.source.info.plan.reasons.join(" ")).toMatch(reasons);
    await expectFitForRooms(played, SAMPLE.seconds);
    expect(Math.abs(media(played.tags, "video").length - frames)).toBeLessThanOrEqual(2);
  });

  it("encodes AV1 when this ffmpeg can make a sample", async () => {
    if ((await sample("av1.mkv")) === undefined) return;
    const played = await play("av1.mkv");
    expect(played.source.info.plan).toMatchObject({
      video: "transcode",
      audio: "copy",
      reasons: [expect.stringMatching(/is av1/)],
    });
    await expectFitForRooms(played, SAMPLE.seconds);
  });

  it("encodes a video with keyframes far apart", async () => {
    const played = await play("long-gop.mp4");
    expect(played.source.info.plan.reasons).toEqual([expect.stringMatching(/^Keyframes are up to .* s apart/)]);
    expect(played.end).toEqual({ name: "finished" });
    const keyframes = media(played.tags, "video").filter(({ keyframe }) => keyframe);
    expect(keyframes.map(({ dtsMs }) => dtsMs)).toEqual([0, 2000, 4000]);
  });

  it("scales a picture that is larger than rooms take", async () => {
    const { source, tags } = await play("large.mp4");
    expect(source.info).toMatchObject({ width: 1920, height: 1080 });
    expect((await decode(tools.ffprobePath, tags)).video.size).toBe("1920x1080");
  });

  it("turns a rotated picture upright", async () => {
    const body = turned((await sample("front.mp4")) ?? Buffer.alloc(0));
    const source = await open(server.serve("turned.mp4", body));
    expect(source.info).toMatchObject({ width: 180, height: 320, plan: { video: "transcode" } });
    expect(source.info.plan.reasons).toEqual(["The picture is to be turned by 90 degrees."]);
    await expectFitForRooms({ source, ...(await readToEnd(source)) }, SAMPLE.seconds);
  });

  it("shows a picture with wide pixels in its full width", async () => {
    expect((await play("wide-pixels.mp4")).source.info).toMatchObject({ width: 428, height: 180 });
  });

  it("converts HDR to 8 bit that is marked as BT.709", async () => {
    const { tags } = await play("hdr.mkv");
    expect(await decode(tools.ffprobePath, tags)).toMatchObject({
      video: { pixelFormat: "yuv420p" },
      colours: "bt709, bt709",
    });
  });

  it("plays the default one of two videos", async () => {
    const played = await play("two-pictures.mkv");
    expect(played.source.info).toMatchObject({ width: SAMPLE.width, height: SAMPLE.height });
    await expectFitForRooms(played, SAMPLE.seconds);
  });

  it("makes a variable frame rate constant and keeps the duration", async () => {
    const played = await play("variable-rate.mkv", { videoEncode: { width: 160, fps: 20 } });
    await expectFitForRooms(played, SAMPLE.seconds);
    const times = media(played.tags, "video").map(({ dtsMs }) => dtsMs);
    expect(new Set(times.slice(1).map((time, at) => Math.round(time - (times[at] ?? 0))))).toEqual(new Set([50]));
  });

  it("plays the default one of two audio tracks", async () => {
    const { source, tags } = await play("two-sounds.mkv");
    expect(source.info.audioFormat).toEqual({ sampleRateHz: 48_000, channels: 2 });
    expect((await decode(tools.ffprobePath, tags)).audio.channels).toBe(2);
  });
});

describe("SourceFactory in a session with a fixed picture and sound", () => {
  it("scales the picture into the session's on black and converts the sound", async () => {
    const canvas = { width: 320, height: 320 };
    const audioFormat = { sampleRateHz: 44_100, channels: 1 };
    const played = await play("front.mp4", { canvas, audioFormat });
    expect(played.source.info).toMatchObject({ width: 320, height: 320, fps: 25, audioFormat });
    await expectFitForRooms(played, SAMPLE.seconds);
    const luma = await firstPicture(tools.ffmpegPath, played.tags);
    const brightest = (fromLine: number, lines: number) =>
      Math.max(...luma.subarray(fromLine * 320, (fromLine + lines) * 320));
    // 180 lines in the middle of 320; black is 16, or 0 in full range, and the encoder blurs the edge.
    expect(brightest(0, 60)).toBeLessThan(32);
    expect(brightest(260, 60)).toBeLessThan(32);
    expect(brightest(80, 160)).toBeGreaterThan(150);
  });

  it("copies a source that has the session's format", async () => {
    const audioFormat = { sampleRateHz: 44_100, channels: 1 };
    const { source } = await play("mono-44100.mp4", { canvas: SAMPLE, audioFormat });
    expect(source.info.plan).toEqual({ video: "copy", audio: "copy", reasons: [] });
    expect(source.info.audioFormat).toEqual(audioFormat);
  });

  it("encodes a source as the request asks", async () => {
    const videoEncode = { width: 160, height: 90, fps: 10, bitRateKbps: 100, gopS: 1 };
    const played = await play("copy.mkv", { videoEncode, audioEncode: { channels: 1, bitRateKbps: 32 } });
    expect(played.source.info).toMatchObject({ width: 160, height: 90, fps: 10 });
    await expectFitForRooms(played, SAMPLE.seconds);
    const video = media(played.tags, "video");
    expect(video.filter(({ keyframe }) => keyframe).map(({ dtsMs }) => dtsMs)).toEqual([0, 1000]);
    expect(video).toHaveLength(20);
  });
});

describe("SourceFactory with another speed or volume", () => {
  it.each([
    [2, 25],
    [0.5, 12.5],
  ])("keeps positions and tracks in sync at %f times the speed", async (tempo, fps) => {
    const { source, tags, end } = await play("front.mp4", { tempo, startAtMs: 1000 });
    expect(end).toEqual({ name: "finished" });
    expect(source.info).toMatchObject({ fps, tempo: { factor: tempo, fromMs: 1000 } });
    const endsMs = 1000 + 1000 / tempo;
    for (const kind of ["audio", "video"] as const) {
      const times = media(tags, kind).map(({ dtsMs }) => dtsMs);
      expect(Math.abs((times[0] ?? 0) - 1000)).toBeLessThan(50);
      expect(Math.abs((times.at(-1) ?? 0) - endsMs)).toBeLessThan(130);
    }
    expect(await decode(tools.ffprobePath, tags)).toMatchObject({ complaints: "", video: { bFrames: 0 } });
  });

  it("keeps the pitch of a faster source", async () => {
    const { tags } = await play("front.mp4", { tempo: 2 });
    const samples = await soundOf(tools.ffmpegPath, tags);
    const middle = samples.subarray(12_000, 36_000);
    const crossings = middle.reduce((count, value, at) => count + (value >= 0 && (middle[at - 1] ?? 0) < 0 ? 1 : 0), 0);
    // Half a second of 440 Hz.
    expect(Math.abs(crossings - 220)).toBeLessThan(10);
  });

  it("changes the volume and copies the picture", async () => {
    const loudness = async (volume: number) => {
      const { source, tags } = await play("copy.mkv", { volume });
      expect(source.info.plan.video).toBe("copy");
      return Math.max(...(await soundOf(tools.ffmpegPath, tags)).subarray(12_000, 36_000));
    };
    const [half, usual] = [await loudness(50), await loudness(100)];
    expect(usual).toBeGreaterThan(1000);
    expect(half / usual).toBeGreaterThan(0.45);
    expect(half / usual).toBeLessThan(0.55);
    expect(await loudness(0)).toBeLessThan(10);
  });
});

describe("SourceFactory with a start position", () => {
  it.each<[SampleName, number, number]>([
    ["front.mp4", 1_700, 1000],
    ["front.mp4", 400, 0],
    ["copy.mkv", 1_700, 1000],
    ["copy.mkv", 400, 0],
    ["copy.flv", 1200, 1000],
  ])("copies %s from %i ms beginning at the keyframe before, %i ms", async (name, startAtMs, beginsMs) => {
    const { source, tags, end } = await play(name, { startAtMs });
    expect(source.info.plan.video).toBe("copy");
    // MKV and FLV have no time before 0 for the audio's priming: in these clips the picture begins 21 ms late.
    expect(Math.abs((media(tags, "video")[0]?.dtsMs ?? -1) - beginsMs)).toBeLessThan(25);
    expect(media(tags, "audio")[0]?.dtsMs).toBeGreaterThanOrEqual(beginsMs - 40);
    expect(media(tags, "audio")[0]?.dtsMs).toBeLessThan(beginsMs + 60);
    expect(end).toEqual({ name: "finished" });
  });

  it.each<SampleName>(["b-frames.mp4", "vp9.webm", "hevc.mp4"])(
    "begins an encoded %s exactly at the position",
    async (name) => {
      const { tags, end } = await play(name, { startAtMs: 680 });
      const video = media(tags, "video");
      expect(Math.abs((video[0]?.dtsMs ?? 0) - 680)).toBeLessThan(2);
      expect(Math.abs(video.length - 33)).toBeLessThanOrEqual(1);
      expect(end).toEqual({ name: "finished" });
    },
  );
});

describe("SourceFactory with an incomplete file", () => {
  it.each<SampleName>(["front.mp4", "fragmented.mp4", "copy.mkv", "copy.flv"])(
    "reports %s as truncated, not as finished",
    async (name) => {
      const { end } = await play(name, {}, "cut-short");
      expect(end).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceTruncated" } });
    },
  );
});

describe("A fragmented file that ffmpeg plays from a server without ranges", () => {
  const make = async () => {
    const input = "-f lavfi -i testsrc2=s=160x90:r=25:d=4 -f lavfi -i sine=r=48000:d=4";
    const codecs = "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25 -tag:v hvc1 -c:a aac";
    const flags = "-movflags frag_keyframe+empty_moov+default_base_moof+delay_moov+skip_trailer";
    return await server.make("fragments.mp4", ...`${input} ${codecs} ${flags}`.split(" "));
  };

  it("does not report the duration of its first fragment as the whole", async () => {
    const source = await open(server.serve("fragments.mp4", await make(), "no-parts"));
    expect(source.info).toMatchObject({ live: false, durationMs: null, plan: { video: "transcode" } });
    const { tags, end } = await readToEnd(source);
    expect(end).toEqual({ name: "finished" });
    expect(media(tags, "video").at(-1)?.dtsMs).toBeGreaterThan(3800);
  });

  it("can be opened at a position", async () => {
    const source = await open(server.serve("fragments.mp4", await make(), "no-parts"), { startAtMs: 2600 });
    const { tags } = await readToEnd(source);
    expect(media(tags, "video")[0]?.dtsMs).toBeGreaterThan(2550);
    expect(media(tags, "video")).toHaveLength(35);
  });

  it("is reported as truncated when it ends inside a fragment", async () => {
    const whole = await make();
    const cut = whole.subarray(0, whole.lastIndexOf("mdat") + 500);
    const { end } = await readToEnd(await open(server.serve("fragments.mp4", cut, "no-parts")));
    expect(end).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceTruncated" } });
  });
});

describe("a stream without a length", () => {
  it.each<[SampleName, string]>([
    ["live.flv", "copy"],
    ["copy.ts", "copy"],
    ["sound.mp3", "transcode"],
  ])("in Mode vod that ends is a recording, %s, and is played from its first byte", async (name, audio) => {
    const played = await play(name, {}, "stream");
    expect(played.source.info).toMatchObject({ live: false, plan: { audio } });
    expect(played.source.info.plan.reasons).not.toContainEqual(expect.stringContaining("the source is live"));
    await expectFitForRooms(played, SAMPLE.seconds);
  });

  it("in Mode vod that arrives as it happens is live, and the plan says so", async () => {
    const body = await sample("long.flv");
    if (body === undefined) throw new Error("This ffmpeg cannot make long.flv.");
    const source = await open(server.serve("long.flv", body, "as-it-happens"));
    expect(source.info).toMatchObject({ live: true, durationMs: null });
    expect(source.info.plan.reasons).toContain("Mode is vod, but the source is live: it starts at its newest.");
  });

  it("in Mode live is lost when it ends", async () => {
    const { source, end } = await play("live.flv", { live: true }, "stream");
    expect(source.info.plan.reasons).toEqual([]);
    expect(end).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceLost" } });
  });
});
