import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import zlib from "node:zlib";
import { sampleClip } from "@roomcast/dev/stack/sample-media";
import { admit, ScriptedRtmpServer } from "@roomcast/worker/scripted-rtmp-server";
import { withTables } from "@roomcast/worker/written-index";
import {
  amfNest,
  amfOfManyKeys,
  amfOfManyValues,
  EBML_HEADER,
  ebml,
  FLV_HEADER,
  FTYP,
  flvTag,
  mp4Box,
  nestedBoxes,
  tsPacket,
  tsSection,
  withHugeH264,
  withHugePng,
} from "./hostile-bytes.ts";
import { type Answer, bodyOf, drippingBody, encodedBody, endlessBody, type HostileServer } from "./hostile-server.ts";

/** The parts from which a source is made. */
export interface Workshop {
  readonly server: HostileServer;
  readonly ffmpegPath: string;
  /** For files that ffmpeg makes; it goes with the run. */
  readonly folder: string;
}

/** The fields of a push that plays it. */
export interface HostilePush {
  readonly VideoSrc: string;
  readonly Preload?: readonly string[];
  readonly Mode?: "live";
  /** Called when the push has ended. */
  readonly close?: () => Promise<void>;
}

/** Makes a source and serves it. */
type Make = (workshop: Workshop) => Promise<HostilePush> | HostilePush;

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const CLIP_S = 5;
const MANY_SAMPLES = 16_000_000;

/** By the name that `--only` takes. */
export const HOSTILE_SOURCES: ReadonlyMap<string, Make> = new Map<string, Make>([
  ["mp4-16m-samples", withSamples((body) => bodyOf(body))],
  ["mp4-16m-samples-claimed", withSamples((body) => bodyOf(body, 4 * GIB))],
  ["mp4-16m-samples-preload-4", preloaded],
  ["mp4-nested", file("nested.mp4", () => Buffer.concat([FTYP, nestedBoxes(["moov", "trak", "mdia"], 1_000_000)]))],
  ["mp4-nested-moov", file("moov.mp4", () => Buffer.concat([FTYP, nestedBoxes(["moov"], 1_000_000)]))],
  [
    "mp4-huge-box",
    file("huge.mp4", () => Buffer.concat([FTYP, Buffer.from("000000016d6f6f763fffffffffffffff", "hex")])),
  ],
  ["mp4-tiny-boxes", file("tiny.mp4", () => Buffer.concat([FTYP, many(mp4Box("free"), 1_000_000)]))],
  [
    "mp4-tiny-boxes-in-moov",
    file("tiny-moov.mp4", () => Buffer.concat([FTYP, mp4Box("moov", many(mp4Box("free"), 1_000_000))])),
  ],
  ["mp4-many-tracks", file("tracks.mp4", () => Buffer.concat([FTYP, mp4Box("moov", many(mp4Box("trak"), 1_000_000))]))],
  ["mp4-tiny-fragments", tinyFragments],
  ["mp3-endless-id3", served("endless.mp3", () => endlessId3())],
  ["mp4-huge-h264", async (shop) => serveFile(shop, "huge-h264.mp4", withHugeH264(await readFile(await clip())))],
  ["mkv-huge-h264", hugeMatroska("h264.mkv", ["-c:v", "copy"], withHugeH264)],
  ["mkv-huge-png", hugeMatroska("png.mkv", ["-c:v", "png", "-vf", "scale=64:64"], withHugePng)],
  ["mov-huge-png", hugeMatroska("png.mov", ["-c:v", "png", "-vf", "scale=64:64"], withHugePng)],
  ["hls-70000-lines", file("lines.m3u8", () => playlist(35_000))],
  ["hls-10000-variants", file("variants.m3u8", () => masterPlaylist(10_000))],
  ["hls-10-mb-line", file("line.m3u8", () => Buffer.from(`#EXTM3U\n#EXTINF:1,\n${"a".repeat(10 * MIB)}\n`))],
  [
    "hls-10-mb-attributes",
    file("attributes.m3u8", () => Buffer.from(`#EXTM3U\n#EXT-X-KEY:${"A=b,".repeat(2.5 * MIB)}\n`)),
  ],
  ["hls-16-mb-live", liveHls],
  ["hls-key-404", file("key-404.m3u8", () => encryptedPlaylist("missing.key"))],
  ["hls-key-endless", keyed],
  ["gzip-bomb", served("bomb.mp4", async () => encodedBody(await bomb("gzip, gzip", Buffer.alloc(MIB)), "gzip, gzip"))],
  [
    "br-bomb-playlist",
    served("bomb.m3u8", async () =>
      encodedBody(await bomb("br", Buffer.alloc(MIB, "\n"), "#EXTM3U\n#EXT-X-TARGETDURATION:2\n"), "br"),
    ),
  ],
  ["gzip-bomb-ts", served("bomb.ts", async () => encodedBody(await bomb("gzip", nullPackets()), "gzip"))],
  ["ts-all-pids", file("pids.ts", () => allPids())],
  ["ts-table-changes", file("tables.ts", () => changingTables())],
  ["ts-endless-pes", served("pes.ts", () => endlessPes())],
  ["flv-16-mb-keys", flv(() => amfOfManyKeys(16 * MIB - 1))],
  ["flv-8-mb-keys", flv(() => amfOfManyKeys(8 * MIB))],
  ["flv-8-mb-values", flv(() => amfOfManyValues(8 * MIB))],
  ["flv-8-mb-nest", flv(() => amfNest(8 * MIB))],
  ["rtmp-8-mb-keys", rtmp(() => amfOfManyKeys(8 * MIB))],
  ["rtmp-8-mb-values", rtmp(() => amfOfManyValues(8 * MIB))],
  ["byte-a-second", served("drip.mp4", () => drippingBody(FTYP))],
  ["byte-a-second-hls", served("drip.m3u8", () => drippingBody(Buffer.from("#EXTM3U\n")))],
  ["mkv-huge-void", served("void.mkv", () => endlessMatroska("ec"))],
  ["mkv-huge-attachment", served("attachment.mkv", () => endlessMatroska("1941a469"))],
]);

function serveFile({ server }: Workshop, name: string, body: Buffer): HostilePush {
  return { VideoSrc: server.serve(name, bodyOf(body)) };
}

function file(name: string, make: () => Buffer): Make {
  return (shop) => serveFile(shop, name, make());
}

function served(name: string, make: () => Answer | Promise<Answer>): Make {
  return async ({ server }) => ({ VideoSrc: server.serve(name, await make()) });
}

function many(bytes: Buffer, count: number): Buffer {
  return Buffer.alloc(bytes.length * count, bytes);
}

function clip(): Promise<string> {
  return sampleClip({ durationS: CLIP_S, size: { width: 640, height: 360 } });
}

/** The body of a clip's movie box. */
async function movieOf(path: string): Promise<Buffer> {
  const bytes = await readFile(path);
  const at = bytes.indexOf("moov", 0, "latin1") - 4;
  return bytes.subarray(at + 8, at + bytes.readUInt32BE(at));
}

async function manySamples(): Promise<Buffer> {
  const claim = { sampleCount: MANY_SAMPLES, fixedSize: 1, syncSamples: [1] };
  const index = withTables(await movieOf(await clip()), claim, claim);
  return Buffer.concat([FTYP, mp4Box("moov", index), mp4Box("mdat", Buffer.alloc(2048))]);
}

function withSamples(answer: (body: Buffer) => Answer): Make {
  return async ({ server }) => ({ VideoSrc: server.serve("samples.mp4", answer(await manySamples())) });
}

async function preloaded({ server }: Workshop): Promise<HostilePush> {
  const answer = bodyOf(await manySamples(), 4 * GIB);
  const healthy = bodyOf(await readFile(await clip()));
  const Preload = [1, 2, 3, 4].map((n) => server.serve(`samples-${n}.mp4`, answer));
  return { VideoSrc: server.serve("healthy.mp4", healthy), Preload };
}

/** A true beginning, and a fragment of a million empty tracks. */
async function tinyFragments(shop: Workshop): Promise<HostilePush> {
  const path = join(shop.folder, "fragments.mp4");
  await ffmpeg(shop, ["-i", await clip(), "-c", "copy", "-movflags", "frag_keyframe+empty_moov", path]);
  const whole = await readFile(path);
  const start = whole.indexOf("moof", 0, "latin1") - 4;
  const fragment = mp4Box("moof", mp4Box("mfhd", Buffer.alloc(8)), many(mp4Box("traf"), 1_000_000));
  return serveFile(shop, "fragments.mp4", Buffer.concat([whole.subarray(0, start), fragment, whole.subarray(start)]));
}

/** ID3v2.4, sections 3.1 and 4: a tag of 256 MB, and in it frames of 1 MB each, without an end. */
function endlessId3(): Answer {
  const frame = Buffer.alloc(MIB + 10);
  frame.write("PRIV");
  frame.writeUInt32BE(0x0040_0000, 4);
  frame.write("a", 10);
  return endlessBody(Buffer.from("4944330400007f7f7f7f", "hex"), frame);
}

function hugeMatroska(name: string, codec: readonly string[], change: (file: Buffer) => Buffer): Make {
  return async (shop) => {
    const path = join(shop.folder, name);
    await ffmpeg(shop, ["-i", await clip(), "-an", "-frames:v", "30", ...codec, path]);
    return serveFile(shop, name, change(await readFile(path)));
  };
}

async function ffmpeg({ ffmpegPath }: Workshop, args: readonly string[]): Promise<void> {
  await promisify(execFile)(ffmpegPath, ["-nostdin", "-loglevel", "error", "-y", ...args]);
}

function playlist(segments: number): Buffer {
  const lines = Array.from({ length: segments }, (_, n) => `#EXTINF:2.000,\nsegment-${n}.ts`);
  return Buffer.from(`#EXTM3U\n#EXT-X-TARGETDURATION:2\n${lines.join("\n")}\n#EXT-X-ENDLIST\n`);
}

function masterPlaylist(variants: number): Buffer {
  const lines = Array.from(
    { length: variants },
    (_, n) =>
      `#EXT-X-STREAM-INF:BANDWIDTH=${100_000 + n},RESOLUTION=640x360,CODECS="avc1.42c01e,mp4a.40.2"\nv-${n}.m3u8`,
  );
  return Buffer.from(`#EXTM3U\n${lines.join("\n")}\n`);
}

/** Just below what is read of a playlist; the same segments have other numbers at each request. */
function liveHls({ server }: Workshop): HostilePush {
  const lines = Array.from({ length: 99_000 }, (_, n) => `#EXTINF:1,\ns-${n}.ts?${"a".repeat(130)}`);
  const text = Buffer.from(lines.join("\n"));
  let sequence = 0;
  const answer: Answer = (_request, response) => {
    sequence += 1;
    const head = `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:${sequence}\n`;
    response.writeHead(200).end(Buffer.concat([Buffer.from(head), text]));
  };
  return { VideoSrc: server.serve("live.m3u8", answer) };
}

function encryptedPlaylist(key: string): Buffer {
  return Buffer.from(
    `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128,URI="${key}"\n#EXTINF:2,\n0.ts\n#EXT-X-ENDLIST\n`,
  );
}

function keyed({ server }: Workshop): HostilePush {
  server.serve("endless.key", endlessBody(Buffer.alloc(16), Buffer.alloc(MIB)));
  server.serve("0.ts", bodyOf(nullPackets()));
  return { VideoSrc: server.serve("key-endless.m3u8", bodyOf(encryptedPlaylist("endless.key"))) };
}

/** A GiB of a repeated part, under one or two codings. */
async function bomb(codings: string, part: Buffer, head = ""): Promise<Buffer> {
  const stream = codings === "br" ? zlib.createBrotliCompress(BROTLI_FAST) : zlib.createGzip();
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  stream.once("end", resolve).once("error", reject);
  stream.write(head);
  for (let written = 0; written < GIB; written += part.length) {
    if (!stream.write(part)) await new Promise((drained) => stream.once("drain", drained));
  }
  stream.end();
  await promise;
  const once = Buffer.concat(chunks);
  return codings.includes(",") ? zlib.gzipSync(once, { level: 9 }) : once;
}

const BROTLI_FAST = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 2 } };

/** Packets of no meaning (PID 8191). */
function nullPackets(): Buffer {
  return many(tsPacket(0x1fff, Buffer.alloc(0)), 5000);
}

const PES_START = Buffer.from("000001e000008080052100010001", "hex");

/** Each packet begins a picture on another PID, all of which belong to the program as far as a section can hold them. */
function allPids(): Buffer {
  const packets: Buffer[] = [tsPacket(0, tsSection(0, 1, 0, Buffer.from("0001e010", "hex")), { start: true })];
  for (let n = 0; n < 80_000; n += 1) packets.push(tsPacket(32 + (n % 8000), PES_START, { start: true, counter: n }));
  return Buffer.concat(packets);
}

/** Each pair of packets brings new tables with other tracks. */
function changingTables(): Buffer {
  const packets: Buffer[] = [];
  for (let n = 0; n < 40_000; n += 1) {
    const programs = Buffer.alloc(160);
    const tracks = Buffer.alloc(4 + 150, 0);
    tracks.writeUInt32BE(0xe100_f000);
    for (let at = 0; at < 40; at += 1) programs.writeUInt32BE((((n + at) % 0xffff) + 1) * 65_536 + 0xe010 + at, at * 4);
    for (let at = 0; at < 30; at += 1) {
      tracks.writeUInt8(0x1b, 4 + at * 5);
      tracks.writeUInt16BE(0xe000 | (256 + ((n * 30 + at) % 7900)), 5 + at * 5);
      tracks.writeUInt16BE(0xf000, 7 + at * 5);
    }
    packets.push(tsPacket(0, tsSection(0, 1, n, programs), { start: true, counter: n }));
    packets.push(tsPacket(0x10, tsSection(2, (n % 0xffff) + 1, n, tracks), { start: true, counter: n }));
  }
  return Buffer.concat(packets);
}

/** One picture that never ends. */
function endlessPes(): Answer {
  const pat = tsPacket(0, tsSection(0, 1, 0, Buffer.from("0001e010", "hex")), { start: true });
  const pmt = tsPacket(0x10, tsSection(2, 1, 0, Buffer.from("e100f0001be100f000", "hex")), { start: true });
  const start = tsPacket(0x100, Buffer.concat([PES_START, Buffer.from("0000000165", "hex")]), { start: true });
  const more = Array.from({ length: 16 * 300 }, (_, n) => tsPacket(0x100, Buffer.alloc(184, 0x5a), { counter: n + 1 }));
  return endlessBody(Buffer.concat([pat, pmt, start]), Buffer.concat(more));
}

function flv(metadata: () => Buffer): Make {
  return served("meta.flv", () => {
    const head = Buffer.concat([FLV_HEADER, flvTag(18, metadata())]);
    return (_request, response) => response.writeHead(200).write(head);
  });
}

function rtmp(metadata: () => Buffer): Make {
  return async () => {
    const body = metadata();
    const server = await ScriptedRtmpServer.start((peer, command) => {
      admit(peer, command);
      if (command.name !== "play") return;
      peer.status("status", "NetStream.Play.Start");
      peer.connection.send({ chunkStreamId: 4, typeId: 18, streamId: 1, timestampMs: 0, payload: body });
    });
    return { VideoSrc: `rtmp://127.0.0.1:${server.port}/app/name`, Mode: "live", close: () => server.stop() };
  };
}

function endlessMatroska(idHex: string): Answer {
  const segment = ebml("18538067", Buffer.alloc(0), 2 ** 50);
  return endlessBody(Buffer.concat([EBML_HEADER, segment, ebml(idHex, Buffer.alloc(0), 2 ** 40)]), Buffer.alloc(MIB));
}
