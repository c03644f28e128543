import { parseAddressPolicy } from "@roomcast/shared";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Egress } from "../../egress/egress.ts";
import { findMediaTools } from "../ffmpeg/media-tools.ts";
import { HlsServer } from "../hls/hls-server.test-support.ts";
import type { Source } from "../source.ts";
import { MediaServer, media, readToEnd } from "../sources.test-support.ts";
import { SourceFactory } from "./open-source.ts";

const FPS = 10;
const SEGMENT_S = 0.4;
const SEGMENTS = 350;
const DURATION_S = SEGMENTS * SEGMENT_S;
const FRAMES_PER_SEGMENT = FPS * SEGMENT_S;
const VARIANT_LINES = [2160, 1440, 1080, 900, 720, 540, 480, 360, 240];
const LANGUAGES = ["en", "zh", "de"];
const BEST = 1080;
/** More than a frame of AAC, less than a segment. */
const LONGEST_SOUND_STEP_MS = 100;

let maker: MediaServer;
let server: HlsServer;
let egress: Egress;
let sources: SourceFactory;
const opened: Source[] = [];

async function makeSegments(name: string, args: string): Promise<Buffer[]> {
  const muxer = `-f hls -hls_segment_type mpegts -hls_time ${SEGMENT_S} -hls_list_size 0 -hls_playlist_type vod`;
  await maker.make(`${name}.m3u8`, ...`${args} ${muxer}`.split(" "));
  return await Promise.all(Array.from({ length: SEGMENTS }, (_, n) => maker.made(`${name}${n}.ts`)));
}

/** Serves a media playlist of all segments in a separate folder. */
function serveRendition(folder: string, segments: readonly Buffer[]): void {
  const entries = segments.map((segment, n) => {
    server.serve(`/${folder}/${n}.ts`, segment);
    return `#EXTINF:${SEGMENT_S.toFixed(3)},\n${n}.ts`;
  });
  const head = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", "#EXT-X-PLAYLIST-TYPE:VOD"];
  server.serve(`/${folder}/list.m3u8`, [...head, ...entries, "#EXT-X-ENDLIST", ""].join("\n"));
}

function master(): string {
  const sounds = LANGUAGES.map((language, n) => {
    const isDefault = n === 0 ? "YES" : "NO";
    const name = `NAME="${language}",LANGUAGE="${language}",DEFAULT=${isDefault}`;
    return `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",${name},URI="${language}/list.m3u8"`;
  });
  const variants = VARIANT_LINES.map((lines) => {
    const size = `RESOLUTION=${(lines * 16) / 9}x${lines}`;
    const codecs = `CODECS="avc1.64001f,mp4a.40.2",AUDIO="sound"`;
    return `#EXT-X-STREAM-INF:BANDWIDTH=${lines * 2000},${size},${codecs}\n${lines}/list.m3u8`;
  });
  return ["#EXTM3U", ...sounds, ...variants, ""].join("\n");
}

beforeAll(async () => {
  const found = await findMediaTools();
  if (found.name === "missing") throw new Error(found.problems.map(({ message }) => message).join("\n"));
  [maker, server] = await Promise.all([MediaServer.start(), HlsServer.start()]);
  egress = new Egress({ policy: parseAddressPolicy(["127.0.0.1"]) });
  sources = await SourceFactory.start({ tools: found.tools, egress });
  const h264 = `-c:v libx264 -preset ultrafast -pix_fmt yuv420p -bf 0 -g ${FRAMES_PER_SEGMENT} -sc_threshold 0`;
  const picture = await makeSegments("picture", `-f lavfi -i testsrc2=s=64x36:r=${FPS}:d=${DURATION_S} ${h264}`);
  const sound = await makeSegments("sound", `-f lavfi -i sine=r=48000:d=${DURATION_S} -c:a aac -b:a 32k`);
  for (const lines of VARIANT_LINES) serveRendition(String(lines), picture);
  for (const language of LANGUAGES) serveRendition(language, sound);
  server.serve("/master.m3u8", master());
}, 60_000);

afterEach(async () => {
  await Promise.all(opened.splice(0).map((source) => source.close()));
  server.requests.length = 0;
});

afterAll(async () => {
  await sources.close();
  await egress.close();
  await Promise.all([server.close(), maker.stop()]);
});

async function open(startAtMs: number): Promise<Source> {
  const { signal } = new AbortController();
  const log = pino({ level: "silent" });
  const source = await sources.open({ url: server.url("/master.m3u8"), live: false, startAtMs, signal, log });
  opened.push(source);
  return source;
}

/** Returns the numbers of the requested segments of a folder, in the order of the requests. */
function askedFor(folder: string | number): number[] {
  return server.requests.flatMap((path) => {
    const [, of, name = ""] = path.split("/");
    return of === String(folder) && name.endsWith(".ts") ? [Number(name.slice(0, -".ts".length))] : [];
  });
}

function stepsMs(tags: readonly { readonly dtsMs: number }[]): number[] {
  return tags.slice(1).map((tag, at) => tag.dtsMs - (tags[at]?.dtsMs ?? 0));
}

describe("A ladder with more than 4,096 segments in its playlists", () => {
  it("has more than 4,096 segments in this test", () => {
    expect((VARIANT_LINES.length + LANGUAGES.length) * SEGMENTS).toBeGreaterThan(4096);
  });

  it("plays each segment once, from the first to the last", async () => {
    const source = await open(0);
    expect(source.info).toMatchObject({ durationMs: DURATION_S * 1000, plan: { video: "copy", audio: "copy" } });
    const { tags, end } = await readToEnd(source);
    expect(end).toEqual({ name: "finished" });
    const pictures = media(tags, "video");
    expect(pictures).toHaveLength(SEGMENTS * FRAMES_PER_SEGMENT);
    expect(new Set(stepsMs(pictures))).toEqual(new Set([1000 / FPS]));
    const steps = stepsMs(media(tags, "audio"));
    expect(Math.min(...steps)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...steps)).toBeLessThan(LONGEST_SOUND_STEP_MS);
    const all = Array.from({ length: SEGMENTS }, (_, n) => n);
    expect([...new Set(askedFor(BEST))]).toEqual(all);
    expect([...new Set(askedFor("en"))]).toEqual(all);
    for (const folder of [2160, 1440, 720, 240, "zh"]) expect(askedFor(folder)).toEqual([]);
  });

  it("plays from a position near its end and reads no earlier segments", async () => {
    const last = 10;
    const startAtMs = (SEGMENTS - last) * SEGMENT_S * 1000;
    const { tags, end } = await readToEnd(await open(startAtMs));
    expect(end).toEqual({ name: "finished" });
    expect(media(tags, "video")).toHaveLength(last * FRAMES_PER_SEGMENT);
    for (const folder of [BEST, "en"]) {
      const asked = askedFor(folder);
      expect(asked.at(-1)).toBe(SEGMENTS - 1);
      // The first segment tells how the clock of the file and the playlist's belong together.
      const early = asked.filter((n) => n < SEGMENTS - last - 5);
      expect(early.filter((n) => n > 0)).toEqual([]);
    }
  });
});
