import { parseAddressPolicy } from "@roomcast/shared";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Egress } from "../../egress/egress.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import { findMediaTools, type MediaTools } from "../ffmpeg/media-tools.ts";
import { asEncrypted, withEdits } from "../mp4/written-index.test-support.ts";
import type { Source } from "../source.ts";
import { MediaServer, media, readToEnd } from "../sources.test-support.ts";
import { lumasOf, soundOf } from "../written-flv.test-support.ts";
import { type OpenSourceOptions, SourceFactory } from "./open-source.ts";

const HIDDEN_S = 2.4;
/** White for as long as an edit list will hide it, then black. */
const PICTURE = `-f lavfi -i color=black:s=160x90:r=25,drawbox=c=white:t=fill:enable='lt(t,${HIDDEN_S - 0.02})'`.split(
  " ",
);
/** Loud for as long, then silent. */
const SOUND = ["-f", "lavfi", "-i", `sine=f=440:r=48000,volume='if(lt(t,${HIDDEN_S - 0.1}),4,0)':eval=frame`];
const tone = (frequency: number) => ["-f", "lavfi", "-i", `sine=f=${frequency}:r=48000`];
const H264 = "-c:v libx264 -preset ultrafast -bf 0 -g 100 -sc_threshold 0 -pix_fmt yuv420p".split(" ");
const SHORT_GOP = "-c:v libx264 -preset ultrafast -bf 0 -g 25 -sc_threshold 0 -pix_fmt yuv420p".split(" ");
const AAC = ["-c:a", "aac", "-b:a", "64k"];

const log = pino({ level: "silent" });
let tools: MediaTools;
let server: MediaServer;
let egress: Egress;
let sources: SourceFactory;
const opened: Source[] = [];

beforeAll(async () => {
  const found = await findMediaTools();
  if (found.name === "missing") throw new Error(found.problems.map(({ message }) => message).join("\n"));
  tools = found.tools;
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
  const source = await sources.open({
    url,
    live: false,
    startAtMs: 0,
    signal: new AbortController().signal,
    log,
    ...more,
  });
  opened.push(source);
  return source;
}

/** Crossings of zero in a second, halved; 0 for silence. */
async function pitchOf(tags: readonly MediaTag[]): Promise<number> {
  const samples = await soundOf(tools.ffmpegPath, tags);
  const middle = samples.subarray(Math.floor(samples.length / 4), Math.floor(samples.length / 4) + 48_000);
  let crossings = 0;
  for (let at = 1; at < middle.length; at += 1) {
    if ((middle[at - 1] ?? 0) < 0 !== (middle[at] ?? 0) < 0) crossings += 1;
  }
  return (crossings / 2 / middle.length) * 48_000;
}

describe("A beginning that an edit list hides", () => {
  let trimmed: Buffer;
  beforeAll(async () => {
    await server.make("whole.mp4", ...PICTURE, ...SOUND, "-t", "6", ...H264, ...AAC);
    trimmed = await server.make("trimmed.mp4", "-ss", String(HIDDEN_S), "-i", "whole.mp4", "-c", "copy");
  });

  it.each<[string, Partial<OpenSourceOptions>]>([
    ["copied", {}],
    ["with Volume", { volume: 80 }],
    ["from a position", { startAtMs: 1000 }],
    ["from a position with Volume", { startAtMs: 1000, volume: 80 }],
  ])("is never played: %s", async (_name, more) => {
    const source = await open(server.serve("trimmed.mp4", trimmed), more);
    expect(source.info.plan.reasons.join()).toMatch(/edit list hides/);
    expect(source.info.durationMs).toBeCloseTo(3600, -2);
    const { tags, end } = await readToEnd(source);
    expect(end).toEqual({ name: "finished" });
    const lumas = await lumasOf(tools.ffmpegPath, tags);
    expect(lumas.length).toBeGreaterThan(60);
    expect(Math.max(...lumas)).toBeLessThan(40);
    const loudest = (await soundOf(tools.ffmpegPath, tags)).reduce((most, one) => Math.max(most, Math.abs(one)), 0);
    expect(loudest).toBeLessThan(600);
    const first = Math.min(...media(tags, "video").map(({ dtsMs }) => dtsMs));
    expect(first).toBeLessThanOrEqual((more.startAtMs ?? 0) + 100);
  });

  it("is skipped in a copy when it ends at a keyframe", async () => {
    await server.make("keyed.mp4", ...PICTURE, ...SOUND, "-t", "6", ...SHORT_GOP, "-force_key_frames", "2.4", ...AAC);
    const keyed = await server.make("from-key.mp4", "-i", "keyed.mp4", "-c", "copy", "-movflags", "+faststart");
    // The movie's clock has 1000 units in a second, the video's 12800.
    const atEnd = await server.make("at-end.mp4", "-i", "from-key.mp4", "-c", "copy");
    const edited = withEdits(atEnd, 0, [[3600, HIDDEN_S * 12_800]]);
    expect(keyed.length).toBeGreaterThan(0);
    const source = await open(server.serve("key-cut.mp4", edited));
    expect(source.info.plan).toMatchObject({ video: "copy", audio: "copy" });
    const { tags } = await readToEnd(source);
    expect(Math.max(...(await lumasOf(tools.ffmpegPath, tags)))).toBeLessThan(40);
  });

  it("is skipped like cuts in the middle", async () => {
    const whole = await server.make("to-cut.mp4", ...PICTURE, ...tone(440), "-t", "6", ...SHORT_GOP, ...AAC);
    const cut = withEdits(whole, 0, [
      [2000, 3 * 12_800],
      [500, 5.5 * 12_800],
    ]);
    const source = await open(server.serve("cut.mp4", withEdits(cut, 1, [[2500, 3 * 48_000]])));
    expect(source.info.plan.reasons.join()).toMatch(/edit list cuts/);
    const { tags, end } = await readToEnd(source);
    expect(end).toEqual({ name: "finished" });
    const lumas = await lumasOf(tools.ffmpegPath, tags);
    expect(Math.max(...lumas)).toBeLessThan(40);
    expect(lumas.length).toBeGreaterThanOrEqual(62);
    expect(lumas.length).toBeLessThanOrEqual(66);
  });
});

describe("The choice among several audio tracks", () => {
  const inputs = [...PICTURE, ...tone(300), ...tone(900), "-map", "0", "-map", "1", "-map", "2", "-t", "3"];
  const second = ["-disposition:a:0", "0", "-disposition:a:1", "default"];
  const languages = ["-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=chi"];

  it.each<[string, string[], Partial<OpenSourceOptions>]>([
    ["copied", SHORT_GOP, {}],
    ["with Volume", SHORT_GOP, { volume: 80 }],
    ["with an encoded picture", [...SHORT_GOP, "-bf", "2"], {}],
    ["with everything encoded", [...SHORT_GOP, "-bf", "2"], { volume: 80, startAtMs: 500 }],
  ])("prefers the default one: %s", async (name, video, more) => {
    const file = `two-${name.replaceAll(" ", "-")}.mp4`;
    const url = server.serve(file, await server.make(file, ...inputs, ...video, ...AAC, ...second));
    expect(await pitchOf((await readToEnd(await open(url, more))).tags)).toBeCloseTo(900, -2);
  });

  it.each<[string, string, Partial<OpenSourceOptions>, number]>([
    ["a language of two letters", "mp4", { audioTrack: "en" }, 300],
    ["the other one's name of that language", "mp4", { audioTrack: "zho" }, 900],
    ["a number", "mp4", { audioTrack: 1 }, 300],
    ["a number while encoding", "mp4", { audioTrack: 1, volume: 80 }, 300],
    ["a language in Matroska", "mkv", { audioTrack: "en" }, 300],
  ])("follows the request: %s", async (_name, container, more, hertz) => {
    const file = `wished.${container}`;
    const url = server.serve(file, await server.make(file, ...inputs, ...SHORT_GOP, ...AAC, ...second, ...languages));
    const source = await open(url, more);
    expect(source.info.plan.reasons.join()).not.toMatch(/audio track/);
    expect(await pitchOf((await readToEnd(source)).tags)).toBeCloseTo(hertz, -2);
  });

  it("names a requested track that is missing, and the present ones", async () => {
    const file = "missing.mp4";
    const url = server.serve(file, await server.make(file, ...inputs, ...SHORT_GOP, ...AAC, ...second, ...languages));
    const source = await open(url, { audioTrack: "fr" });
    expect(source.info.plan.reasons.join()).toContain('no audio track "fr": the source has 1 (eng), 2 (chi)');
    expect(await pitchOf((await readToEnd(source)).tags)).toBeCloseTo(900, -2);
  });

  it("skips a track of an unknown codec", async () => {
    const file = await server.make("unknown.mp4", ...inputs, ...SHORT_GOP, ...AAC, ...second);
    const copy = Buffer.from(file);
    copy.write("apac", copy.lastIndexOf("mp4a", undefined, "latin1"), "latin1");
    // Else ffmpeg goes by what it says.
    copy.write("free", copy.lastIndexOf("esds", undefined, "latin1"), "latin1");
    const source = await open(server.serve("unknown.mp4", copy));
    expect(source.info.plan.reasons.join()).toMatch(/unknown \(apac\).*Track 1 of its kind is played instead/);
    expect(await pitchOf((await readToEnd(source)).tags)).toBeCloseTo(300, -2);
  });

  it("plays the picture alone and gives the reason when no track can be decoded", async () => {
    const file = await server.make("usac.mp4", ...PICTURE, ...tone(300), "-t", "3", ...SHORT_GOP, ...AAC, "-ac", "2");
    const copy = Buffer.from(file);
    // AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) of AAC-LC, 48 kHz, stereo; then of object type 42.
    Buffer.from("f946432204", "hex").copy(copy, copy.lastIndexOf(Buffer.from("119056e500", "hex")));
    const source = await open(server.serve("usac.mp4", copy));
    expect(source.info.plan).toMatchObject({ video: "copy", audio: "generate" });
    expect(source.info.plan.reasons.join()).toMatch(/xHE-AAC \(USAC\), which this worker's ffmpeg cannot decode/);
    const { tags, end } = await readToEnd(source);
    expect(end).toEqual({ name: "finished" });
    expect(media(tags, "video")).toHaveLength(75);
  });
});

describe("A file that marks every picture as a keyframe", () => {
  /** White until 5 s, then black; keyframes so far apart as `gop` pictures. */
  async function make(gop: number): Promise<string> {
    const white = "color=black:s=160x90:r=25,drawbox=c=white:t=fill:enable='lt(t,4.98)'";
    const video = `-c:v libx264 -preset ultrafast -bf 0 -g ${gop} -keyint_min ${gop} -sc_threshold 0 -pix_fmt yuv420p`;
    const name = `gop-${gop}.mp4`;
    const input = ["-f", "lavfi", "-i", white, ...tone(300), "-t", "12"];
    const file = Buffer.from(await server.make(name, ...input, ...video.split(" "), ...AAC));
    // Where every picture is a keyframe there is no such table.
    const table = file.lastIndexOf("stss", undefined, "latin1");
    if (table > 0) file.write("free", table, "latin1");
    return server.serve(name, file);
  }

  it("begins with a real keyframe when it is copied and marks every picture correctly", async () => {
    const source = await open(await make(75), { startAtMs: 8000 });
    expect(source.info.plan).toMatchObject({ video: "copy", audio: "copy" });
    const { tags } = await readToEnd(source);
    const video = media(tags, "video");
    expect(video[0]).toMatchObject({ dtsMs: 6000, keyframe: true });
    expect(video.filter(({ keyframe }) => keyframe).map(({ dtsMs }) => dtsMs)).toEqual([6000, 9000]);
    expect(await lumasOf(tools.ffmpegPath, tags)).toHaveLength(150);
  });

  it("is encoded from the position on when real keyframes are far apart", async () => {
    const source = await open(await make(250), { startAtMs: 7000 });
    expect(source.info.plan.reasons.join()).toMatch(/Keyframes are up to .* s apart/);
    const { tags, end } = await readToEnd(source);
    expect(end).toEqual({ name: "finished" });
    expect(media(tags, "video")[0]?.dtsMs).toBeCloseTo(7000, -2);
    const lumas = await lumasOf(tools.ffmpegPath, tags);
    expect(lumas.length).toBeGreaterThan(120);
    expect(Math.max(...lumas)).toBeLessThan(40);
  });

  it("is copied when every picture really is a keyframe", async () => {
    const source = await open(await make(1), { startAtMs: 7000 });
    expect(source.info.plan).toMatchObject({ video: "copy" });
    expect(media((await readToEnd(source)).tags, "video")[0]?.dtsMs).toBeCloseTo(7000, -2);
  });
});

describe("An encrypted file", () => {
  it.each([
    [0, "cenc"],
    [0, "cbcs"],
    [1, "cbcs"],
  ])("is refused with the name of its scheme: track %i, %s", async (track, scheme) => {
    const file = await server.make("clear.mp4", ...PICTURE, ...tone(300), "-t", "2", ...SHORT_GOP, ...AAC);
    const url = server.serve("encrypted.mp4", asEncrypted(file, track, scheme));
    await expect(open(url)).rejects.toMatchObject({
      code: "FailedOperation.SourceUnsupported",
      message: expect.stringContaining(`encrypted (${scheme})`),
    });
  });
});

describe("The end of a source", () => {
  it("is that of its picture and sound when a subtitle is longer", async () => {
    const srt = "1\n00:00:01,000 --> 00:00:02,000\none\n\n2\n00:00:03,000 --> 00:00:45,000\ntwo\n";
    const subtitles = server.serve("s.srt", srt);
    const mapped = ["-i", subtitles, "-map", "0", "-map", "1", "-map", "2", "-c:s", "srt", "-t", "4"];
    const mkv = await server.make("subs.mkv", ...PICTURE, ...tone(300), ...mapped, ...SHORT_GOP, ...AAC);
    const source = await open(server.serve("subs.mkv", mkv));
    expect((await readToEnd(source)).end).toEqual({ name: "finished" });
    expect(source.info.durationMs).toBeCloseTo(4000, -2);
  });

  it.each(["mkv", "flv"])("is a failure when the file was cut: %s", async (container) => {
    const file = `whole.${container}`;
    const whole = await server.make(file, ...PICTURE, ...tone(300), "-t", "6", ...SHORT_GOP, ...AAC);
    const source = await open(server.serve(`cut.${container}`, whole.subarray(0, Math.floor(whole.length / 2))));
    expect((await readToEnd(source)).end).toMatchObject({
      name: "failed",
      error: { code: "FailedOperation.SourceTruncated" },
    });
  });
});

describe("Sound that begins minutes after the picture and is encoded", () => {
  const LATE_S = 240;
  /** A mute copy of the file would need no encoder; a picture that the room takes keeps the test short. */
  const INPUTS = `-f lavfi -i testsrc2=s=64x36:r=5 -itsoffset ${LATE_S} -f lavfi -i sine=f=440:r=48000`.split(" ");
  const OUTPUT = `-map 0:v -map 1:a -t ${LATE_S + 4} -c:v mpeg4 -q:v 9 -c:a ac3`.split(" ");

  it.each(["late.mkv", "late.mp4"])("is silence from the beginning, heard when it comes: %s", async (name) => {
    const url = server.serve(name, await server.make(name, ...INPUTS, ...OUTPUT));
    const source = await open(url, { startAtMs: 0 });
    expect(source.info.plan).toMatchObject({ video: "transcode", audio: "transcode" });
    const { tags, end } = await readToEnd(source);
    expect(end).toEqual({ name: "finished" });
    const sound = media(tags, "audio");
    expect(sound[0]?.dtsMs).toBeLessThan(100);
    // The picture does not wait for the sound.
    const tenth = tags.findIndex(
      ({ kind, dtsMs, sequenceHeader }) => kind === "video" && !sequenceHeader && dtsMs > 1900,
    );
    expect(tags.slice(0, tenth).filter(({ kind }) => kind === "audio").length).toBeLessThan(200);
    const heard = (fromS: number, toS: number) =>
      sound.filter(({ dtsMs }) => dtsMs >= fromS * 1000 && dtsMs < toS * 1000).map(({ payload }) => payload.length);
    expect(Math.max(...heard(1, LATE_S - 1))).toBeLessThan(Math.min(...heard(LATE_S + 1, LATE_S + 3)));
    const steps = sound.slice(1).map(({ dtsMs }, n) => dtsMs - (sound[n]?.dtsMs ?? 0));
    expect(Math.max(...steps)).toBeLessThan(50);
  });

  it.each(["late.mkv", "late.mp4"])("comes in step behind a position too: %s", async (name) => {
    const url = server.serve(name, await server.made(name));
    const source = await open(url, { startAtMs: (LATE_S - 20) * 1000 });
    const { tags } = await readToEnd(source);
    const sound = media(tags, "audio");
    const loud = sound.find(({ payload }) => payload.length > 60);
    expect(sound[0]?.dtsMs).toBeCloseTo((LATE_S - 20) * 1000, -2);
    expect(Math.abs((loud?.dtsMs ?? 0) - LATE_S * 1000)).toBeLessThan(100);
  });
});
