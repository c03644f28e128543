import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { setTimeout as after } from "node:timers/promises";
import { parseAddressPolicy } from "@roomcast/shared";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Egress } from "../../egress/egress.ts";
import { children } from "../child-processes.test-support.ts";
import { childEnvironment } from "../ffmpeg/child-environment.ts";
import { FFMPEG_LIMITS, FFPROBE_LIMITS, limitedCommand } from "../ffmpeg/child-limits.ts";
import { gatewayInputOptions, streamInputOptions } from "../ffmpeg/ffmpeg-arguments.ts";
import { findMediaTools, type MediaTools } from "../ffmpeg/media-tools.ts";
import { MediaServer } from "../sources.test-support.ts";
import { SourceFactory } from "./open-source.ts";
import { withDataReference } from "./written-container.test-support.ts";

const log = pino({ level: "silent" });
/** Stands for an address of the worker's own network: another loopback address than the one that the guard allows. */
const FORBIDDEN = "127.0.0.2";

let server: MediaServer;
let egress: Egress;
let tools: MediaTools;
let sources: SourceFactory;
let listener: net.Server;
let connections = 0;
let mov: Buffer;

beforeAll(async () => {
  const found = await findMediaTools();
  if (found.name === "missing") throw new Error(found.problems.map(({ message }) => message).join("\n"));
  ({ tools } = found);
  server = await MediaServer.start();
  egress = new Egress({
    policy: parseAddressPolicy(["127.0.0.1"]),
    headersTimeoutMs: 1500,
    bodyTimeoutMs: 1500,
    connectTimeoutMs: 1500,
  });
  sources = await SourceFactory.start({ tools, egress, readyTimeoutMs: 15_000, probeDeadlineMs: 15_000 });
  listener = net.createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  listener.listen(0, FORBIDDEN, resolve);
  await promise;
  const picture = ["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=1"];
  mov = await server.make("clip.mov", ...picture, "-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p");
}, 60_000);

afterEach(() => {
  connections = 0;
});

afterAll(async () => {
  await sources.close();
  await egress.close();
  await server.stop();
  listener.close();
});

function forbiddenPort(): number {
  // SAFETY: a server that listens on TCP has an AddressInfo.
  return (listener.address() as AddressInfo).port;
}

type Body = (host: string) => Buffer | string;

const HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n";
const HOSTILE: readonly (readonly [name: string, file: string, body: Body])[] = [
  ["an HLS playlist", "a.m3u8", (host) => `${HLS}#EXTINF:1,\nhttp://${host}/0.ts\n#EXT-X-ENDLIST\n`],
  ["an HLS playlist of tcp addresses", "b.m3u8", (host) => `${HLS}#EXTINF:1,\ntcp://${host}\n#EXT-X-ENDLIST\n`],
  [
    "an HLS playlist whose lines end with NUL",
    "c.m3u8",
    (host) => `#EXTM3U\0#EXT-X-TARGETDURATION:1\0#EXTINF:1,\0tcp://${host}\0#EXT-X-ENDLIST\0`,
  ],
  [
    "an HLS playlist with an attribute that has no closing quote",
    "d.m3u8",
    (host) => `${HLS}#EXT-X-KEY:METHOD=AES-128,URI="tcp://${host}\n#EXTINF:1,\nhttp://${host}/0.ts\n#EXT-X-ENDLIST\n`,
  ],
  [
    "an HLS playlist that opens a port",
    "e.m3u8",
    () => `${HLS}#EXTINF:1,\ntcp://127.0.0.1:0?listen=1\n#EXT-X-ENDLIST\n`,
  ],
  [
    "an HLS playlist behind blanks",
    "f.ts",
    (host) => `${" ".repeat(200)}${HLS}#EXTINF:1,\ntcp://${host}\n#EXT-X-ENDLIST`,
  ],
  [
    "a concat script",
    "a.ffconcat",
    (host) => `ffconcat version 1.0\nfile 'tcp://${host}'\nfile 'http://${host}/a.mp4'\n`,
  ],
  [
    "an SDP description",
    "a.sdp",
    (host) =>
      `v=0\r\no=- 0 0 IN IP4 ${FORBIDDEN}\r\nc=IN IP4 ${FORBIDDEN}\r\nm=video ${host.split(":")[1]} TCP/RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n`,
  ],
  [
    "a DASH manifest",
    "a.mpd",
    (host) =>
      `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT4S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>http://${host}/v.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>`,
  ],
  ["an ASF reference", "a.asf", (host) => `[Reference]\r\nRef1=http://${host}/a.asf\r\n`],
  ["an ASX playlist", "a.asx", (host) => `<asx version="3.0"><entry><ref href="http://${host}/a.asf"/></entry></asx>`],
  ["a PLS playlist", "a.pls", (host) => `[playlist]\nFile1=http://${host}/a.mp3\nNumberOfEntries=1\n`],
  [
    "a MOV whose media is elsewhere, by address",
    "a.mov",
    (host) => withDataReference(mov, "url ", `http://${host}/a.mov`),
  ],
  ["a MOV whose media is elsewhere, by path", "b.mov", (host) => withDataReference(mov, "alis", `tcp://${host}`)],
];

describe("A hostile source", () => {
  it.each(HOSTILE)(
    "reaches no other address when it is %s",
    async (_name, file, body) => {
      const url = server.serve(file, body(`${FORBIDDEN}:${forbiddenPort()}`));
      const opening = sources.open({ url, live: false, startAtMs: 0, signal: AbortSignal.timeout(20_000), log });
      const [opened] = await Promise.allSettled([opening]);
      if (opened.status === "fulfilled") await opened.value.close();
      const code: unknown = opened.status === "fulfilled" ? "played" : Reflect.get(Object(opened.reason), "code");
      expect(code).toMatch(/^(played$|FailedOperation\.Source)/);
      expect(connections).toBe(0);
    },
    40_000,
  );
});

/** Runs ffprobe and ffmpeg on the bytes that a gateway without checks would pass on. */
async function runBoth(input: readonly string[], stdin?: Buffer | string): Promise<void> {
  for (const [program, output, limits] of [
    [tools.ffprobePath, ["-show_format", "-show_streams"], FFPROBE_LIMITS],
    [tools.ffmpegPath, ["-f", "null", "-"], FFMPEG_LIMITS],
  ] as const) {
    const { command, args } = limitedCommand(program, ["-loglevel", "error", ...input, ...output], limits);
    const child = spawn(command, args, { env: childEnvironment(), stdio: ["pipe", "ignore", "ignore"] });
    child.stdin.on("error", () => {}).end(stdin);
    const { promise, resolve } = Promise.withResolvers<void>();
    child.once("close", () => resolve());
    await promise;
  }
}

describe("ffmpeg and ffprobe behind a gateway without checks", () => {
  it.each(HOSTILE)(
    "open no other address for %s",
    async (_name, file, body) => {
      const content = body(`${FORBIDDEN}:${forbiddenPort()}`);
      await runBoth([...gatewayInputOptions(), "-i", server.serve(file, content)]);
      await runBoth([...streamInputOptions("any"), "-i", "pipe:0"], content);
      await runBoth([...streamInputOptions("mov"), "-i", "pipe:0"], content);
      expect(connections).toBe(0);
    },
    60_000,
  );
});

const LOOK_EVERY_MS = 20;

/** Returns the most memory that a child of this process used while a promise was awaited, bytes. */
async function peakWhile(awaited: Promise<unknown>): Promise<number> {
  const settled = awaited.then(
    () => true,
    () => true,
  );
  let peak = 0;
  do {
    for (const { pid } of await children()) peak = Math.max(peak, highWaterMark(pid));
  } while (!(await Promise.race([settled, after(LOOK_EVERY_MS, false)])));
  return peak;
}

function highWaterMark(pid: number): number {
  try {
    return Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** A JPEG says how large it is in its frame header (ITU-T T.81, B.2.2). */
function withPictureSize(motionJpeg: Buffer, size: number): Buffer {
  const changed = Buffer.from(motionJpeg);
  for (let at = changed.indexOf("ffc00011", 0, "hex"); at !== -1; at = changed.indexOf("ffc00011", at + 1, "hex")) {
    changed.writeUInt16BE(size, at + 5);
    changed.writeUInt16BE(size, at + 7);
  }
  return changed;
}

async function refusal(url: string): Promise<{ error: unknown; peakBytes: number }> {
  const opening = sources.open({ url, live: false, startAtMs: 0, signal: AbortSignal.timeout(40_000), log });
  const peakBytes = await peakWhile(opening);
  const [opened] = await Promise.allSettled([opening]);
  if (opened.status === "fulfilled") await opened.value.close();
  return { error: opened.status === "rejected" ? opened.reason : undefined, peakBytes };
}

const UNSUPPORTED = "FailedOperation.SourceUnsupported";

describe("A source that needs too much memory", () => {
  it.each(["mkv", "avi"])(
    "is refused when its pictures are too large: %s",
    async (extension) => {
      const small = ["-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=1", "-c:v", "mjpeg", "-huffman", "default"];
      const url = server.serve(
        `large.${extension}`,
        withPictureSize(await server.make(`s.${extension}`, ...small), 16_384),
      );
      const { error, peakBytes } = await refusal(url);
      expect(error).toMatchObject({ code: UNSUPPORTED, message: expect.stringMatching(/too large/) });
      expect(peakBytes).toBeLessThan(FFPROBE_LIMITS.residentBytes);
    },
    60_000,
  );

  it("fails when its ID3 tags do not end", async () => {
    const endless = http.createServer((_request, response) => {
      response.writeHead(200, { "content-type": "audio/mpeg" });
      // ID3v2.4, section 3.1: a tag of 256 MB, and in it frames of 1 MB each (section 4).
      response.write(Buffer.from("4944330400007f7f7f7f", "hex"));
      const frame = Buffer.alloc(1024 * 1024 + 10);
      frame.write("PRIV");
      frame.writeUInt32BE(0x00400000, 4);
      frame.write("a", 10);
      const more = () => {
        while (response.write(frame));
      };
      response.on("drain", more);
      more();
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    endless.listen(0, "127.0.0.1", resolve);
    await promise;
    // SAFETY: a server that listens on TCP has an AddressInfo.
    const { port } = endless.address() as AddressInfo;
    const { error, peakBytes } = await refusal(`http://127.0.0.1:${port}/endless.mp3`);
    endless.closeAllConnections();
    endless.close();
    expect(error).toMatchObject({ code: expect.stringMatching(/SourceUnsupported|SourceNotMedia|SourceTimeout/) });
    expect(peakBytes).toBeLessThan(FFPROBE_LIMITS.residentBytes);
  }, 60_000);
});
