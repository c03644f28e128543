import { createCipheriv, randomBytes } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { parseAddressPolicy } from "@roomcast/shared";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Egress } from "../../egress/egress.ts";
import { parseAvcConfig } from "../../media/codec/avc-config.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import { findMediaTools } from "../ffmpeg/media-tools.ts";
import type { Source, SourceEnd } from "../source.ts";
import { MediaServer, media, readToEnd } from "../sources.test-support.ts";
import { type OpenSourceOptions, SourceFactory } from "./open-source.ts";

const FPS = 25;
const SEGMENT_S = 1;
const SEGMENTS = 3;
const FRAMES = FPS * SEGMENT_S * SEGMENTS;
const H264 = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -bf 0 -g 25 -keyint_min 25 -sc_threshold 0";
const AAC = "-c:a aac -ac 2 -b:a 64k";

type Handler = (request: http.IncomingMessage, response: http.ServerResponse, path: string) => boolean;

/** A server of files in memory whose responses a test may change. */
class HlsServer {
  readonly files = new Map<string, Buffer | string>();
  readonly requests: { path: string; headers: http.IncomingHttpHeaders }[] = [];
  handler: Handler | undefined;
  readonly #server = http.createServer((request, response) => this.#answer(request, response));

  static async start(): Promise<HlsServer> {
    const server = new HlsServer();
    await once(server.#server.listen(0, "127.0.0.1"), "listening");
    return server;
  }

  url(path: string): string {
    // SAFETY: a server that listens on TCP has an AddressInfo.
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${path}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await once(this.#server.close(), "close");
  }

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const path = decodeURIComponent((request.url ?? "/").slice(1).split("?")[0] ?? "");
    this.requests.push({ path, headers: request.headers });
    if (this.handler?.(request, response, path) === true) return;
    const file = this.files.get(path);
    if (file === undefined) response.writeHead(404).end();
    else sendRange(request, response, Buffer.from(file));
  }
}

function sendRange(request: http.IncomingMessage, response: http.ServerResponse, body: Buffer): void {
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  if (range === null) {
    response.writeHead(200, { "content-length": body.length, "accept-ranges": "bytes" }).end(body);
    return;
  }
  const from = Number(range[1]);
  const to = range[2] === "" ? body.length - 1 : Math.min(Number(range[2]), body.length - 1);
  const headers = { "content-length": to - from + 1, "content-range": `bytes ${from}-${to}/${body.length}` };
  response.writeHead(206, headers).end(body.subarray(from, to + 1));
}

interface List {
  readonly entries: readonly string[];
  readonly head?: readonly string[];
  readonly end?: boolean;
}

function playlist({ entries, head = ["#EXT-X-PLAYLIST-TYPE:VOD"], end = true }: List): string {
  const lines = ["#EXTM3U", "#EXT-X-VERSION:7", `#EXT-X-TARGETDURATION:${SEGMENT_S}`, ...head];
  return [...lines, ...entries, ...(end ? ["#EXT-X-ENDLIST"] : []), ""].join("\n");
}

const entry = (name: string) => `#EXTINF:${SEGMENT_S}.000,\n${name}`;

let maker: MediaServer;
let server: HlsServer;
let egress: Egress;
let sources: SourceFactory;
const opened: Source[] = [];
/** Segments by the name of their recipe. */
const clips = new Map<string, Buffer[]>();

async function segmentsOf(name: string, args: string, muxer = "-f hls -hls_segment_type mpegts"): Promise<void> {
  const list = `${muxer} -hls_time ${SEGMENT_S} -hls_list_size 0 -hls_playlist_type vod`;
  await maker.make(`${name}.m3u8`, ...`${args} ${list}`.split(" "));
  clips.set(name, await Promise.all(Array.from({ length: SEGMENTS }, (_, n) => maker.made(`${name}${n}.ts`))));
}

const input = (size: string, rate = 48_000) =>
  `-f lavfi -i testsrc2=s=${size}:r=${FPS}:d=${SEGMENT_S * SEGMENTS} -f lavfi -i sine=r=${rate}:d=${SEGMENT_S * SEGMENTS}`;

beforeAll(async () => {
  const found = await findMediaTools();
  if (found.name === "missing") throw new Error(found.problems.map(({ message }) => message).join("\n"));
  [maker, server] = await Promise.all([MediaServer.start(), HlsServer.start()]);
  egress = new Egress({ policy: parseAddressPolicy(["127.0.0.1"]) });
  sources = await SourceFactory.start({ tools: found.tools, egress });
  const reordered = H264.replace("-bf 0", "-bf 2");
  await segmentsOf("plain", `${input("160x90")} ${H264} ${AAC}`);
  await segmentsOf("larger", `${input("320x180", 44_100)} ${H264} ${AAC.replace("-ac 2", "-ac 1")}`);
  await segmentsOf("reordered", `${input("160x90")} ${reordered} ${AAC}`);
  await segmentsOf("mp2", `${input("160x90")} ${H264} -c:a mp2`);
  await segmentsOf("reordered-mp2", `${input("160x90")} ${reordered} -c:a mp2`);
  await segmentsOf("larger-mp2", `${input("320x180")} ${H264} -c:a mp2`);
  await segmentsOf("picture", `${input("160x90")} -map 0:v ${H264}`);
  await segmentsOf("sound", `${input("160x90")} -map 1:a ${AAC}`);
  await maker.make("whole.mp4", ...`${input("160x90")} ${H264} ${AAC}`.split(" "));
  const cut = (n: number) =>
    `-ss ${n * SEGMENT_S} -t ${SEGMENT_S} -i whole.mp4 -c copy -output_ts_offset ${n * SEGMENT_S} -muxdelay 0 -f mpegts`;
  const alone = [0, 1, 2].map(async (n) => await maker.make(`alone${n}.ts`, ...cut(n).split(" ")));
  clips.set("alone", await Promise.all(alone));
}, 60_000);

afterEach(async () => {
  await Promise.all(opened.splice(0).map((source) => source.close()));
  server.handler = undefined;
  server.files.clear();
  server.requests.length = 0;
});

afterAll(async () => {
  await sources.close();
  await egress.close();
  await Promise.all([server.stop(), maker.stop()]);
});

function clip(name: string, n: number): Buffer {
  const segment = clips.get(name)?.[n];
  if (segment === undefined) throw new Error(`There is no segment ${n} of ${name}.`);
  return segment;
}

/** Serves the segments of a recipe as `<name><n>.ts` and names their lines. */
function serve(name: string, ending = "ts"): string[] {
  return [0, 1, 2].map((n) => {
    server.files.set(`${name}${n}.${ending}`, clip(name, n));
    return entry(`${name}${n}.${ending}`);
  });
}

interface Played {
  readonly source: Source;
  readonly tags: readonly MediaTag[];
  readonly end: SourceEnd;
}

async function open(path: string, more: Partial<OpenSourceOptions> = {}): Promise<Source> {
  const { signal } = new AbortController();
  const log = pino({ level: "silent" });
  const source = await sources.open({ url: server.url(path), live: false, startAtMs: 0, signal, log, ...more });
  opened.push(source);
  return source;
}

async function play(path: string, more: Partial<OpenSourceOptions> = {}): Promise<Played> {
  const source = await open(path, more);
  return { source, ...(await readToEnd(source)) };
}

function longestStepMs(tags: readonly MediaTag[]): number {
  return Math.max(0, ...tags.slice(1).map((tag, at) => tag.dtsMs - (tags[at]?.dtsMs ?? 0)));
}

function sizesOf(tags: readonly MediaTag[]): Set<string> {
  const headers = tags.filter((tag) => tag.kind === "video" && tag.sequenceHeader);
  const size = ({ payload }: MediaTag) => {
    const { sps } = parseAvcConfig(payload.subarray(5));
    return `${sps.width}x${sps.height}`;
  };
  return new Set(headers.map(size));
}

/** All pictures once and in order, without a gap; `around` allows for what an encoder adds or leaves out. */
function expectWhole({ tags, end }: Played, frames = FRAMES, around = 0): void {
  expect(end).toEqual({ name: "finished" });
  const pictures = media(tags, "video");
  expect(Math.abs(pictures.length - frames)).toBeLessThanOrEqual(around);
  expect(longestStepMs(pictures)).toBeLessThan(130);
  expect(
    Math.min(...pictures.slice(1).map((tag, at) => tag.dtsMs - (pictures[at]?.dtsMs ?? 0))),
  ).toBeGreaterThanOrEqual(0);
  expect(longestStepMs(media(tags, "audio"))).toBeLessThan(200);
}

describe("SourceFactory with a recorded HLS playlist", () => {
  it("plays it completely when each segment was muxed separately and its counters restart", async () => {
    server.files.set("a.m3u8", playlist({ entries: serve("alone") }));
    const played = await play("a.m3u8");
    expect(played.source.info).toMatchObject({ live: false, durationMs: 3000, plan: { video: "copy", audio: "copy" } });
    expectWhole(played);
  });

  it("plays it completely over a discontinuity at which the clock restarts", async () => {
    const entries = [...serve("plain"), "#EXT-X-DISCONTINUITY", ...serve("plain")];
    server.files.set("a.m3u8", playlist({ entries }));
    const played = await play("a.m3u8");
    expect(played.source.info.durationMs).toBe(6000);
    expectWhole(played, 2 * FRAMES);
  });

  it("plays it completely when the clock restarts without a discontinuity tag", async () => {
    server.files.set("a.m3u8", playlist({ entries: [...serve("plain"), ...serve("plain")] }));
    expectWhole(await play("a.m3u8"), 2 * FRAMES);
  });

  it.each([
    ["long", 10],
    ["short", 0.1],
  ])("plays it as long as its media when its EXTINF are too %s", async (_what, declaredS) => {
    const wrong = (entries: readonly string[]) => entries.map((each) => each.replace(/:[\d.]+/, `:${declaredS}`));
    server.files.set("plain.m3u8", playlist({ entries: wrong(serve("plain")) }));
    expectWhole(await play("plain.m3u8"));
    server.files.set("mp2.m3u8", playlist({ entries: wrong(serve("mp2")) }));
    expectWhole(await play("mp2.m3u8"), FRAMES, 3);
    const group = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="English",DEFAULT=YES,URI="sound.m3u8"';
    const variant = '#EXT-X-STREAM-INF:BANDWIDTH=1000,AUDIO="g"\npicture.m3u8';
    server.files.set("master.m3u8", ["#EXTM3U", group, variant, ""].join("\n"));
    server.files.set("sound.m3u8", playlist({ entries: wrong(serve("sound")) }));
    for (const entries of [wrong(serve("picture")), serve("picture")]) {
      server.files.set("picture.m3u8", playlist({ entries }));
      const played = await play("master.m3u8");
      expectWhole(played);
      expect(media(played.tags, "audio").length).toBeGreaterThan(130);
    }
  });

  it("opens it at a position on the playlist's clock when its EXTINF are too long", async () => {
    const entries = serve("plain").map((each) => each.replace("1.000", "10.000"));
    server.files.set("a.m3u8", playlist({ entries }));
    const played = await play("a.m3u8", { startAtMs: 10_000 });
    expectWhole(played, (2 * FRAMES) / 3);
    expect(media(played.tags, "video")[0]?.dtsMs).toBe(10_000);
  });

  it("keeps the first part's picture and sound format when they change after a discontinuity", async () => {
    const entries = [
      ...serve("plain"),
      "#EXT-X-DISCONTINUITY",
      ...serve("larger"),
      "#EXT-X-DISCONTINUITY",
      ...serve("plain"),
    ];
    server.files.set("a.m3u8", playlist({ entries }));
    const played = await play("a.m3u8");
    expectWhole(played, 3 * FRAMES, 4);
    expect(sizesOf(played.tags)).toEqual(new Set(["160x90"]));
  });

  it("encodes B-frames without a gap at discontinuities", async () => {
    const entries = [...serve("reordered"), "#EXT-X-DISCONTINUITY", ...serve("reordered")];
    server.files.set("a.m3u8", playlist({ entries }));
    const played = await play("a.m3u8");
    expect(played.source.info.plan).toMatchObject({ video: "transcode", audio: "copy" });
    expectWhole(played, 2 * FRAMES, 6);
    expect(media(played.tags, "video").every(({ compositionMs }) => compositionMs === 0)).toBe(true);
  });

  it("passes the bytes to ffmpeg when this process does not read the codecs", async () => {
    server.files.set("a.m3u8", playlist({ entries: serve("mp2") }));
    const played = await play("a.m3u8");
    expect(played.source.info.plan).toMatchObject({ audio: "transcode" });
    expectWhole(played, FRAMES, 3);
  });

  it("continues without a gap when ffmpeg reads it and its clock restarts, also from a position", async () => {
    const entries = [...serve("reordered-mp2"), "#EXT-X-DISCONTINUITY", ...serve("reordered-mp2")];
    server.files.set("a.m3u8", playlist({ entries }));
    expectWhole(await play("a.m3u8"), 2 * FRAMES, 6);
    expectWhole(await play("a.m3u8", { startAtMs: 1400 }), 2 * FRAMES - FPS * 1.4, 6);
  });

  it("keeps the picture size when ffmpeg reads it and the size changes after a discontinuity", async () => {
    server.files.set(
      "a.m3u8",
      playlist({ entries: [...serve("mp2"), "#EXT-X-DISCONTINUITY", ...serve("larger-mp2")] }),
    );
    const played = await play("a.m3u8");
    expect(played.source.info.plan).toMatchObject({ video: "transcode", audio: "transcode" });
    expect(played.source.info.plan.reasons.join(" ")).toContain("EXT-X-DISCONTINUITY");
    expect(sizesOf(played.tags)).toEqual(new Set(["160x90"]));
    expectWhole(played, 2 * FRAMES, 6);
  });

  it("passes fragments to ffmpeg that hold one track after the other", async () => {
    const list = `-f hls -hls_time 2 -hls_playlist_type vod -hls_segment_type fmp4 -hls_fmp4_init_filename init.mp4`;
    const codecs = `${H264.replaceAll("25", "50")} -c:a ac3`;
    const text = await maker.make("fragments.m3u8", ...`${input("160x90")} ${codecs} ${list}`.split(" "));
    server.files.set("a.m3u8", text);
    for (const name of ["init.mp4", "fragments0.m4s", "fragments1.m4s"]) server.files.set(name, await maker.made(name));
    const played = await play("a.m3u8");
    expect(played.source.info.plan).toMatchObject({ audio: "transcode" });
    expectWhole(played, FRAMES, 3);
    expect(media(played.tags, "audio").length).toBeGreaterThan(120);
  });

  it.each([
    ["copied", `${H264.replaceAll("25", "50")} -c:a ac3`],
    ["encoded", `-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=50 -pix_fmt yuv420p ${AAC}`],
  ])("continues without a gap when the clock of fragments for ffmpeg restarts: %s", async (how, codecs) => {
    const list = `-f hls -hls_time 2 -hls_playlist_type vod -hls_segment_type fmp4 -hls_fmp4_init_filename init-${how}.mp4`;
    const text = await maker.make(`${how}.m3u8`, ...`${input("160x90")} ${codecs} ${list}`.split(" "));
    for (const name of [`init-${how}.mp4`, `${how}0.m4s`, `${how}1.m4s`])
      server.files.set(name, await maker.made(name));
    const entries =
      text
        .toString()
        .match(/#EXTINF.*\n.*/g)
        ?.join("\n") ?? "";
    for (const joint of ["", "#EXT-X-DISCONTINUITY\n"]) {
      server.files.set("a.m3u8", text.toString().replace(entries, `${entries}\n${joint}${entries}`));
      const played = await play("a.m3u8");
      expectWhole(played, 2 * FRAMES, 6);
      const pictures = media(played.tags, "video");
      const steps = pictures.slice(1).map(({ dtsMs }, at) => dtsMs - (pictures[at]?.dtsMs ?? 0));
      expect(steps.filter((step) => step < 10).length).toBeLessThanOrEqual(2);
      expect(pictures.at(-1)?.dtsMs).toBeGreaterThan(5800);
    }
  });

  it("treats a VOD playlist without an end tag as recorded and ends it once", async () => {
    server.files.set("a.m3u8", playlist({ entries: serve("plain"), end: false }));
    const played = await play("a.m3u8");
    expect(played.source.info.live).toBe(false);
    expectWhole(played);
  });

  it.each(["jpg", "txt", "html", "css"])(
    "takes segments for what they are when their names end in .%s",
    async (ending) => {
      server.files.set("a.m3u8", playlist({ entries: serve("plain", ending) }));
      expectWhole(await play("a.m3u8"));
    },
  );

  it("recognises it after a byte order mark and blank lines, under any name", async () => {
    server.files.set("watch", `\uFEFF\r\n\r\n${playlist({ entries: serve("plain") }).replaceAll("\n", "\r\n")}`);
    expectWhole(await play("watch"));
  });

  it("reads it when the server compresses without a request to do so", async () => {
    const entries = serve("plain");
    server.files.set("a.m3u8", playlist({ entries }));
    server.handler = (_request, response, path) => {
      if (!path.endsWith("m3u8")) return false;
      response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(server.files.get(path) ?? ""));
      return true;
    };
    expectWhole(await play("a.m3u8"));
  });

  it("sends the master's cookie and a user agent with the requests for its children", async () => {
    server.files.set("master.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\na.m3u8\n");
    server.files.set("a.m3u8", playlist({ entries: serve("plain") }));
    server.handler = (request, response, path) => {
      if (request.headers["user-agent"]?.startsWith("Roomcast/") !== true) {
        response.writeHead(403).end();
        return true;
      }
      if (path === "master.m3u8") response.setHeader("set-cookie", "token=1; Path=/");
      else if (!/token=1/.test(request.headers.cookie ?? "")) {
        response.writeHead(403).end();
        return true;
      }
      return false;
    };
    expectWhole(await play("master.m3u8"));
  });

  it("plays the next variant when the best one is missing", async () => {
    const variants = ["missing.m3u8", "a.m3u8"].map((name, at) => `#EXT-X-STREAM-INF:BANDWIDTH=${9 - at}000\n${name}`);
    server.files.set("master.m3u8", ["#EXTM3U", ...variants, ""].join("\n"));
    server.files.set("a.m3u8", playlist({ entries: serve("plain") }));
    expectWhole(await play("master.m3u8"));
  });

  it("joins a picture and a sound from separate playlists", async () => {
    const group = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="English",LANGUAGE="en",DEFAULT=YES,URI="sound.m3u8"';
    const variant = '#EXT-X-STREAM-INF:BANDWIDTH=1000,CODECS="avc1.42c01e,mp4a.40.2",AUDIO="g"\npicture.m3u8';
    server.files.set("master.m3u8", ["#EXTM3U", group, variant, ""].join("\n"));
    server.files.set("picture.m3u8", playlist({ entries: serve("picture") }));
    server.files.set("sound.m3u8", playlist({ entries: serve("sound") }));
    const played = await play("master.m3u8");
    expect(played.source.info.plan).toMatchObject({ video: "copy", audio: "copy" });
    expectWhole(played);
    expect(media(played.tags, "audio").length).toBeGreaterThan(130);
  });

  it("decrypts AES-128 in this process, with an IV and with the sequence number as one", async () => {
    const key = randomBytes(16);
    const iv = randomBytes(16);
    server.files.set("key", key);
    const sealed = (n: number, vector: Buffer) => {
      const cipher = createCipheriv("aes-128-cbc", key, vector);
      return Buffer.concat([cipher.update(clip("plain", n)), cipher.final()]);
    };
    const numbered = Buffer.alloc(16);
    numbered.writeUInt32BE(2, 12);
    server.files.set("0.ts", sealed(0, iv));
    server.files.set("1.ts", sealed(1, iv));
    server.files.set("2.ts", sealed(2, numbered));
    const given = `#EXT-X-KEY:METHOD=AES-128,URI="key",IV=0x${iv.toString("hex")}`;
    const entries = [given, entry("0.ts"), entry("1.ts"), '#EXT-X-KEY:METHOD=AES-128,URI="key"', entry("2.ts")];
    server.files.set("a.m3u8", playlist({ entries }));
    expectWhole(await play("a.m3u8"));
  });

  it("refuses SAMPLE-AES and names it", async () => {
    const entries = [
      '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x",KEYFORMAT="com.apple.streamingkeydelivery"',
      ...serve("plain"),
    ];
    server.files.set("a.m3u8", playlist({ entries }));
    await expect(open("a.m3u8")).rejects.toMatchObject({
      code: "FailedOperation.SourceUnsupported",
      message: expect.stringMatching(/FairPlay|SAMPLE-AES/),
    });
  });

  it("skips a missing segment without waiting for it", async () => {
    const entries = serve("plain");
    server.files.delete("plain1.ts");
    server.files.set("a.m3u8", playlist({ entries }));
    const { tags, end } = await play("a.m3u8");
    expect(end).toEqual({ name: "finished" });
    expect(media(tags, "video")).toHaveLength((FRAMES * 2) / 3);
    expect(longestStepMs(media(tags, "video"))).toBeLessThan(130);
    expect(tags.at(-1)?.positionMs ?? tags.at(-1)?.dtsMs).toBeGreaterThan(2900);
  });

  it("opens it at a position on the playlist's clock and reads only the needed segments", async () => {
    const entries = [
      ...serve("plain"),
      "#EXT-X-DISCONTINUITY",
      ...serve("larger"),
      "#EXT-X-DISCONTINUITY",
      ...serve("alone"),
    ];
    server.files.set("a.m3u8", playlist({ entries }));
    const played = await play("a.m3u8", { startAtMs: 7000 });
    expect(media(played.tags, "video")[0]?.dtsMs).toBeCloseTo(7000, -2);
    expectWhole(played, (FRAMES * 2) / 3);
    const read = server.requests.map(({ path }) => path).filter((path) => path.endsWith(".ts"));
    expect(read).toEqual(["alone1.ts", "alone2.ts"]);
  });

  it("opens an encoded one exactly at a position", async () => {
    server.files.set("a.m3u8", playlist({ entries: serve("reordered") }));
    const played = await play("a.m3u8", { startAtMs: 1400 });
    expect(media(played.tags, "video")[0]?.dtsMs).toBeCloseTo(1400, -2);
    expectWhole(played, FPS * 1.6, 4);
  });

  it("reads byte ranges of one file", async () => {
    const parts = [0, 1, 2].map((n) => clip("plain", n));
    server.files.set("all.ts", Buffer.concat(parts));
    let at = 0;
    const entries = parts.map((part) => {
      const line = `#EXTINF:1,\n#EXT-X-BYTERANGE:${part.length}@${at}\nall.ts`;
      at += part.length;
      return line;
    });
    server.files.set("a.m3u8", playlist({ entries }));
    expectWhole(await play("a.m3u8"));
  });
});

describe("SourceFactory with a growing HLS playlist", () => {
  it("plays it once, until its end is announced", async () => {
    const lines = serve("alone");
    let asked = 0;
    server.handler = (_request, response, path) => {
      if (path !== "event.m3u8") return false;
      asked += 1;
      const known = Math.min(lines.length, asked);
      const list = playlist({
        entries: lines.slice(0, known),
        head: ["#EXT-X-PLAYLIST-TYPE:EVENT"],
        end: asked > lines.length,
      });
      response.end(list);
      return true;
    };
    const played = await play("event.m3u8");
    expectWhole(played);
  });
});
