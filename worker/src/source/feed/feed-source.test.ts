import { pino } from "pino";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { parseAvcConfig } from "../../media/codec/avc-config.ts";
import type { FlvTag } from "../../media/flv/flv-writer.ts";
import { PLAIN_AAC, PLAIN_H264, sampleFlv } from "../../media/flv/sample-flv.test-support.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import { transcodeFlv } from "../ffmpeg/ffmpeg-source.ts";
import type { Source } from "../source.ts";
import { media, readToEnd } from "../sources.test-support.ts";
import { type FeedSourceOptions, openFeedSource } from "./feed-source.ts";
import { hevcTags } from "./hevc-tags.test-support.ts";
import { ScriptedFeed } from "./scripted-feed.test-support.ts";

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

interface Opening {
  readonly feed: ScriptedFeed;
  readonly source: Promise<Source>;
  readonly lines: string[];
}

function open(options: Partial<FeedSourceOptions> = {}): Opening {
  const feed = new ScriptedFeed();
  const lines: string[] = [];
  const log = pino({ level: "info" }, { write: (line) => void lines.push(line) });
  const common = { feed, shown: "the source", container: "flv", live: false, plan: {}, transcodeFlv, log };
  const source = openFeedSource({ ...common, ...options });
  source.then(
    (opened) => cleanUps.push(() => opened.close()),
    () => undefined,
  );
  return { feed, source, lines };
}

const later = (tags: readonly FlvTag[], byMs: number): FlvTag[] =>
  tags.map((tag) => ({ ...tag, timestampMs: tag.timestampMs + byMs }));
const isHeader = (tag: FlvTag) => tag.payload[1] === 0;
const only = (tags: readonly FlvTag[], kind: FlvTag["kind"]) => tags.filter((tag) => tag.kind === kind);
const from = (tags: readonly FlvTag[], fromMs: number) =>
  tags.filter((tag) => isHeader(tag) || tag.timestampMs >= fromMs);

/** Orders tags like MPEG-TS, where the sound's header comes with its first packet, after the first keyframe. */
function soundHeaderLast(tags: readonly FlvTag[]): FlvTag[] {
  const [header, first] = only(tags, "audio");
  const rest = tags.filter((tag) => tag !== header && tag !== first);
  const behind = rest.findIndex((tag) => tag.kind === "video" && !isHeader(tag)) + 1;
  return [...rest.slice(0, behind), ...[header, first].filter((tag) => tag !== undefined), ...rest.slice(behind)];
}

function longestStepMs(tags: readonly MediaTag[]): number {
  return Math.max(0, ...tags.slice(1).map((tag, at) => tag.dtsMs - (tags[at]?.dtsMs ?? 0)));
}

function sizesOf(tags: readonly MediaTag[]): string[] {
  const headers = tags.filter((tag) => tag.kind === "video" && tag.sequenceHeader);
  return headers.map(({ payload }) => {
    const { sps } = parseAvcConfig(payload.subarray(5));
    return `${sps.width}x${sps.height}`;
  });
}

describe("openFeedSource", () => {
  let plain: FlvTag[];
  let larger: FlvTag[];
  let mono: FlvTag[];
  let reordered: FlvTag[];
  let mp3: FlvTag[];
  let advert: FlvTag[];

  beforeAll(async () => {
    const base = { seconds: 3, fps: 25, video: PLAIN_H264, audio: PLAIN_AAC };
    [plain, larger, mono, reordered, mp3, advert] = await Promise.all([
      sampleFlv(base),
      sampleFlv({ ...base, video: ["-vf", "scale=640:360", ...PLAIN_H264] }),
      sampleFlv({ ...base, audio: [...PLAIN_AAC, "-ar", "44100", "-ac", "1"] }),
      sampleFlv({ ...base, video: ["-c:v", "libx264", "-bf", "2", "-g", "25", "-pix_fmt", "yuv420p"] }),
      sampleFlv({ ...base, audio: ["-c:a", "libmp3lame", "-ar", "44100"] }),
      sampleFlv({
        ...base,
        video: ["-vf", "scale=256:144", ...PLAIN_H264],
        audio: [...PLAIN_AAC, "-ar", "44100", "-ac", "1"],
      }),
    ]);
  });

  it("copies a feed with tracks that rooms take", async () => {
    const { feed, source } = open();
    await feed.give(...plain);
    await feed.end();
    const opened = await source;
    expect(opened.info.plan).toEqual({ video: "copy", audio: "copy", reasons: [] });
    const { tags, end } = await readToEnd(opened);
    expect(end).toEqual({ name: "finished" });
    expect(media(tags, "video")).toHaveLength(75);
  });

  it.each([3_600_000, 30_000, -600_000])("continues at once when the clock jumps by %i ms", async (jumpMs) => {
    const { feed, source, lines } = open();
    const start = 1_000_000;
    await feed.give(...later(plain, start), ...later(plain, start + 3000 + jumpMs));
    await feed.end();
    const { tags } = await readToEnd(await source);
    expect(media(tags, "video")).toHaveLength(150);
    expect(longestStepMs(media(tags, "video"))).toBeLessThan(100);
    expect(media(tags, "video").at(-1)?.positionMs).toBe(start + 3000 + jumpMs + 2960 + 21);
    expect(lines.join()).toContain("clock has jumped");
  });

  it("begins with a black picture of the announced size when the video is late and shows the video when it comes", async () => {
    const { feed, source } = open();
    (await feed.taker).announce({ video: { width: 320, height: 180 }, audio: true });
    await feed.give(...only(plain, "audio"), ...later(only(plain, "audio"), 3000), ...later(plain, 6000));
    await feed.end();
    const opened = await source;
    expect(opened.info).toMatchObject({ width: 320, height: 180, plan: { video: "generate", audio: "copy" } });
    const { tags } = await readToEnd(opened);
    const pictures = media(tags, "video");
    expect(pictures[0]).toMatchObject({ keyframe: true, dtsMs: 0 });
    expect(pictures.filter(({ dtsMs }) => dtsMs < 6000).length).toBeGreaterThanOrEqual(3);
    expect(pictures.filter(({ dtsMs }) => dtsMs >= 6000)).toHaveLength(75);
    expect(sizesOf(tags)).toEqual(["320x180", "320x180"]);
    expect(media(tags, "audio")[0]?.dtsMs).toBe(0);
  });

  it("begins a live feed at its newest sound when the video is late and shows the video when it comes", async () => {
    const { feed, source } = open({ live: true });
    (await feed.taker).announce({ video: { width: 320, height: 180 }, audio: true });
    await feed.give(...only(plain, "audio"), ...later(only(plain, "audio"), 3000));
    const opened = await source;
    expect(opened.queuedMs).toBeLessThan(500);
    await feed.give(...later(plain, 6000));
    await feed.end();
    const { tags } = await readToEnd(opened);
    const pictures = media(tags, "video");
    expect(pictures[0]).toMatchObject({ keyframe: true, dtsMs: 0 });
    expect(pictures.length).toBeGreaterThan(75);
    expect(media(tags, "audio")[0]?.dtsMs).toBe(0);
  });

  it("does not hold a live feed back when its tags are not taken for some seconds", async () => {
    const { feed, source } = open({ live: true });
    for (let n = 0; n < 2; n += 1) await feed.give(...later(plain, n * 3000));
    const opened = await source;
    expect(opened.queuedBytes).toBeGreaterThan(1024 * 1024);
    expect(feed.paused).toBe(false);
  });

  it("encodes a late video of another size into the session's size", async () => {
    const { feed, source } = open();
    await feed.give(...only(plain, "audio"), ...later(larger, 3000));
    await feed.end();
    const opened = await source;
    const size = `${opened.info.width}x${opened.info.height}`;
    const { tags, end } = await readToEnd(opened);
    expect(end).toEqual({ name: "finished" });
    expect(new Set(sizesOf(tags))).toEqual(new Set([size]));
    expect(media(tags, "video").filter(({ dtsMs }) => dtsMs >= 2990).length).toBeGreaterThanOrEqual(73);
  });

  it("announces silence when the sound is late and plays the sound when it comes", async () => {
    const { feed, source } = open();
    await feed.give(...only(plain, "video"), ...later(plain, 3000));
    await feed.end();
    const opened = await source;
    expect(opened.info.plan).toMatchObject({ video: "copy", audio: "generate" });
    const { tags } = await readToEnd(opened);
    const sound = tags.filter(({ kind }) => kind === "audio");
    expect(sound[0]?.sequenceHeader).toBe(true);
    expect(media(sound, "audio")[0]?.dtsMs).toBe(3000);
    expect(media(sound, "audio").length).toBeGreaterThan(100);
  });

  it.each([
    ["size", () => larger],
    ["sound format", () => mono],
    ["B-frames", () => reordered],
    ["sound codec", () => mp3],
  ])("keeps the session's format when the %s changes inside the stream and logs it", async (_what, next) => {
    const { feed, source, lines } = open();
    await feed.give(...plain, ...later(next(), 3000), ...later(plain, 6000));
    await feed.end();
    const opened = await source;
    expect(opened.info.plan).toMatchObject({ video: "copy", audio: "copy" });
    const { tags, end } = await readToEnd(opened);
    expect(end).toEqual({ name: "finished" });
    expect(new Set(sizesOf(tags))).toEqual(new Set(["320x180"]));
    expect(media(tags, "video").every(({ compositionMs }) => compositionMs === 0)).toBe(true);
    // An encoder may begin or end a frame early.
    expect(Math.abs(media(tags, "video").length - 225)).toBeLessThanOrEqual(4);
    expect(longestStepMs(media(tags, "video"))).toBeLessThan(130);
    const heardMs = media(tags, "audio").map(({ dtsMs }) => dtsMs);
    expect(heardMs.filter((dtsMs) => dtsMs > 3200 && dtsMs < 5800).length).toBeGreaterThan(100);
    expect(heardMs.filter((dtsMs) => dtsMs > 6200).length).toBeGreaterThan(100);
    expect(lines.join()).toContain("changed its format");
  });

  it("continues when both tracks change together and the sound's header comes after the keyframe", async () => {
    const { feed, source, lines } = open();
    await feed.give(...plain, ...later(soundHeaderLast(advert), 3000), ...later(soundHeaderLast(plain), 6000));
    await feed.end();
    const { tags, end } = await readToEnd(await source);
    expect(end).toEqual({ name: "finished" });
    expect(Math.abs(media(tags, "video").length - 225)).toBeLessThanOrEqual(4);
    expect(longestStepMs(media(tags, "audio"))).toBeLessThan(130);
    expect(lines).toHaveLength(2);
  });

  it("continues to read when a run ends whose encoder held the feed back", async () => {
    const { feed, source } = open({ plan: { volume: 80 } });
    let seconds = 0;
    for (; !feed.paused; seconds += 3) await feed.give(...later(plain, seconds * 1000));
    await feed.give(...later(larger, seconds * 1000));
    const opened = await source;
    await feed.end();
    const { tags, end } = await readToEnd(opened);
    expect(end).toEqual({ name: "finished" });
    expect(feed.paused).toBe(false);
    expect(Math.abs(media(tags, "video").length - 25 * (seconds + 3))).toBeLessThanOrEqual(4);
  });

  it("encodes each part separately when the sound format changes in an encoded source", async () => {
    const { feed, source } = open({ plan: { tempo: 1.25 } });
    await feed.give(...plain, ...later(mono, 3000));
    await feed.end();
    const { tags, end } = await readToEnd(await source);
    expect(end).toEqual({ name: "finished" });
    const sound = media(tags, "audio");
    // An AAC frame holds 1024 samples.
    expect(Math.abs(sound.length * 1024 - 4.8 * 48_000)).toBeLessThan(8 * 1024);
    expect(Math.abs((sound.at(-1)?.dtsMs ?? 0) - 4800)).toBeLessThan(150);
  });

  it("counts the played media when the feed's clock gives no position", async () => {
    const { feed, source } = open({ clockTellsPosition: false });
    await feed.give(...plain, ...later(plain, 500));
    await feed.end();
    const { tags } = await readToEnd(await source);
    const last = media(tags, "video").at(-1);
    expect(last?.positionMs ?? last?.dtsMs).toBeGreaterThan(5900);
  });

  it.each(["number 12", "enhanced"] as const)("encodes HEVC in FLV tags of the form %s", async (form) => {
    const { feed, source } = open({ live: true });
    await feed.give(...(await hevcTags(form)));
    await feed.end();
    const opened = await source;
    expect(opened.info).toMatchObject({ plan: { video: "transcode", audio: "copy" } });
    const { tags, end } = await readToEnd(opened);
    expect(end).toEqual({ name: "finished" });
    expect(media(tags, "video").length).toBeGreaterThanOrEqual(48);
    expect(media(tags, "video").every(({ compositionMs }) => compositionMs === 0)).toBe(true);
    expect(media(tags, "audio").length).toBeGreaterThan(85);
    expect(longestStepMs(media(tags, "video"))).toBeLessThan(130);
  });

  it("encodes B-frames and begins exactly at the requested position", async () => {
    const { feed, source } = open({ startAtMs: 1600, durationMs: 3000 });
    const keyframe = reordered.findLast((tag) => tag.payload[0] === 0x17 && !isHeader(tag) && tag.timestampMs < 1600);
    await feed.give(...from(reordered, keyframe?.timestampMs ?? 0));
    await feed.end();
    const opened = await source;
    expect(opened.info.plan).toMatchObject({ video: "transcode" });
    const { tags, end } = await readToEnd(opened);
    expect(end).toEqual({ name: "finished" });
    const first = media(tags, "video")[0];
    expect(Math.abs((first?.dtsMs ?? 0) - 1600)).toBeLessThan(80);
    expect(Math.abs(media(tags, "video").length - 36)).toBeLessThanOrEqual(3);
  });

  it("plays a feed with sound only with a made picture", async () => {
    const { feed, source } = open();
    await feed.give(...only(plain, "audio"));
    await feed.end();
    const opened = await source;
    expect(opened.info.plan).toMatchObject({ video: "generate", audio: "copy" });
    const { tags, end } = await readToEnd(opened);
    expect(end).toEqual({ name: "finished" });
    expect(media(tags, "video").length).toBeGreaterThan(0);
  });

  it("fails with the feed's own cause or when no playable media come", async () => {
    const first = open();
    await first.feed.end();
    await expect(first.source).rejects.toMatchObject({ code: "FailedOperation.SourceNotMedia" });
    const second = open({ readyTimeoutMs: 20 });
    await expect(second.source).rejects.toMatchObject({ code: "FailedOperation.SourceTimeout" });
    expect(second.feed.closed).toBe(true);
  });

  it("holds the feed back while its tags are not taken", async () => {
    const { feed, source } = open();
    for (let n = 0; n < 40; n += 1) await feed.give(...later(plain, n * 3000));
    const opened = await source;
    expect(feed.paused).toBe(true);
    while (opened.shift() !== undefined) continue;
    expect(feed.paused).toBe(false);
  });
});
