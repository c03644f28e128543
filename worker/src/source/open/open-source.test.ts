import { parseAddressPolicy } from "@roomcast/shared";
import { pino } from "pino";
import { request } from "undici";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Egress } from "../../egress/egress.ts";
import { childCommandLines, children } from "../child-processes.test-support.ts";
import { findMediaTools } from "../ffmpeg/media-tools.ts";
import type { Source } from "../source.ts";
import { MediaServer, media, readToEnd } from "../sources.test-support.ts";
import { type OpenSourceOptions, SourceFactory } from "./open-source.ts";

const FPS = 25;
const SECONDS = 4;
const PICTURE = ["-f", "lavfi", "-i", `testsrc2=s=320x240:r=${FPS}:d=${SECONDS}`];
const SOUND = ["-f", "lavfi", "-i", `sine=f=440:r=48000:d=${SECONDS}`];
const H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "25", "-pix_fmt", "yuv420p"];
const B_FRAMES = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "100", "-pix_fmt", "yuv420p"];
const AAC = ["-c:a", "aac", "-b:a", "64k"];

const log = pino({ level: "silent" });
let server: MediaServer;
let egress: Egress;
let sources: SourceFactory;
const opened: Source[] = [];
/** Two clips that need ffmpeg, one only for its container and one for its B-frames. */
let clipMkv: Buffer;
let bFramesMp4: Buffer;

beforeAll(async () => {
  const found = await findMediaTools();
  if (found.name === "missing") throw new Error(found.problems.map(({ message }) => message).join("\n"));
  server = await MediaServer.start();
  egress = new Egress({
    policy: parseAddressPolicy(["127.0.0.1"]),
    headersTimeoutMs: 1500,
    bodyTimeoutMs: 1500,
    connectTimeoutMs: 1500,
  });
  sources = await SourceFactory.start({
    tools: found.tools,
    egress,
  });
  clipMkv = await server.make("clip.mkv", ...PICTURE, ...SOUND, ...H264, ...AAC);
  bFramesMp4 = await server.make("b.mp4", ...PICTURE, ...SOUND, ...B_FRAMES, ...AAC, "-movflags", "+faststart");
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
  const signal = new AbortController().signal;
  const source = await sources.open({ url, live: false, startAtMs: 0, signal, log, ...more });
  opened.push(source);
  return source;
}

describe("SourceFactory with a recorded source", () => {
  it("copies every frame when only the container needs ffmpeg", async () => {
    const source = await open(server.serve("clip.mkv", clipMkv));
    expect(source.info).toMatchObject({ live: false, width: 320, height: 240, fps: FPS });
    expect(source.info.plan).toEqual({ video: "copy", audio: "copy", reasons: [] });
    const { tags, end } = await readToEnd(source);
    expect(end).toEqual({ name: "finished" });
    expect(media(tags, "video")).toHaveLength(FPS * SECONDS);
    expect(tags.findIndex((tag) => tag.kind === "video" && tag.sequenceHeader)).toBe(0);
    expect(media(tags, "video")[0]?.keyframe).toBe(true);
  });

  it("encodes a source with B-frames without losing a frame", async () => {
    const source = await open(server.serve("b.mp4", bFramesMp4));
    expect(source.info.plan).toMatchObject({ video: "transcode", audio: "copy" });
    const { tags, end } = await readToEnd(source);
    expect(end).toEqual({ name: "finished" });
    const video = media(tags, "video");
    expect(video.length).toBeGreaterThanOrEqual(FPS * SECONDS - 1);
    expect(video.every((tag) => tag.compositionMs === 0)).toBe(true);
    const keyframes = video.filter((tag) => tag.keyframe).map((tag) => Math.round(tag.dtsMs / 1000));
    expect(keyframes).toEqual([0, 2]);
  });

  it("gives true positions from the middle on, a copied source from the keyframe before", async () => {
    const copied = await open(server.serve("clip.mkv", clipMkv), { startAtMs: 2500 });
    const first = media((await readToEnd(copied)).tags, "video")[0];
    expect(first?.dtsMs).toBeGreaterThanOrEqual(1950);
    expect(first?.dtsMs).toBeLessThanOrEqual(2050);

    const encoded = await open(server.serve("b.mp4", bFramesMp4), { startAtMs: 2500 });
    const { tags } = await readToEnd(encoded);
    for (const kind of ["audio", "video"] as const) {
      expect(media(tags, kind)[0]?.dtsMs).toBeGreaterThanOrEqual(2450);
      expect(media(tags, kind)[0]?.dtsMs).toBeLessThanOrEqual(2600);
    }
  });

  it("shows the end of a source that is opened after its end", async () => {
    const source = await open(server.serve("clip.mkv", clipMkv), { startAtMs: 60_000 });
    const { tags, end } = await readToEnd(source);
    expect(end).toEqual({ name: "finished" });
    expect(media(tags, "video").length).toBeGreaterThan(0);
  });

  it("makes silence as long as the picture for a source without audio", async () => {
    const silent = await server.make("silent.mkv", ...PICTURE, ...H264);
    const source = await open(server.serve("silent.mkv", silent), { startAtMs: 2000 });
    expect(source.info.plan).toMatchObject({ video: "copy", audio: "generate" });
    const { tags, end } = await readToEnd(source);
    expect(end).toEqual({ name: "finished" });
    // It begins with the picture, at the keyframe before the position.
    const pictureMs = media(tags, "video")[0]?.dtsMs ?? Number.NaN;
    expect(pictureMs).toBeLessThanOrEqual(2000);
    expect(Math.abs((media(tags, "audio")[0]?.dtsMs ?? Number.NaN) - pictureMs)).toBeLessThanOrEqual(100);
    expect(media(tags, "audio").at(-1)?.dtsMs).toBeGreaterThan(SECONDS * 1000 - 200);
    expect(media(tags, "audio").at(-1)?.dtsMs).toBeLessThan(SECONDS * 1000 + 200);
  });

  it("makes a picture as long as the sound for a source without video", async () => {
    const sound = await server.make("sound.m4a", ...SOUND, ...AAC);
    const source = await open(server.serve("sound.m4a", sound));
    expect(source.info.plan).toMatchObject({ video: "generate", audio: "copy" });
    const { tags, end } = await readToEnd(source);
    expect(end).toEqual({ name: "finished" });
    expect(media(tags, "video")[0]?.keyframe).toBe(true);
    expect(media(tags, "video").at(-1)?.dtsMs).toBeGreaterThan(SECONDS * 1000 - 200);
  });

  it("encodes another codec and size to fit the room", async () => {
    const args = ["-f", "lavfi", "-i", `testsrc2=s=2000x1000:r=50:d=0.5`, "-c:v", "mpeg4", "-q:v", "8"];
    const source = await open(server.serve("big.avi", await server.make("big.avi", ...args)));
    expect(source.info).toMatchObject({ width: 1920, height: 960, fps: 25 });
    const { tags, end } = await readToEnd(source);
    expect(end).toEqual({ name: "finished" });
    expect(media(tags, "video").length).toBeGreaterThanOrEqual(11);
    expect(media(tags, "video").length).toBeLessThanOrEqual(14);
  });

  it("plays HLS and its segments through the egress guard", async () => {
    await server.make("list.m3u8", ...PICTURE, ...SOUND, ...H264, ...AAC, "-f", "hls", "-hls_time", "1");
    const segments = [0, 1, 2, 3].map((n) => `list${n}.ts`);
    for (const name of segments) server.serve(`media/${name}`, await server.made(name));
    const playlist = (await server.made("list.m3u8")).toString().replaceAll(/^list/gm, server.url("media/list"));
    const source = await open(server.serve("list.m3u8", playlist));
    expect(source.info).toMatchObject({ live: false });
    const { tags, end } = await readToEnd(source);
    expect(end).toEqual({ name: "finished" });
    expect(media(tags, "video")).toHaveLength(FPS * SECONDS);
  });
});

describe("SourceFactory with a fault of the server", () => {
  it.each([
    ["a missing file", () => server.url("nothing.mp4"), "SourceNotFound", "HTTP"],
    ["a web page", () => server.serve("p", "<html>hi</html>", "none", "text/html"), "SourceNotMedia", "web page"],
    ["an empty file", () => server.serve("e", ""), "SourceNotMedia", "empty"],
    ["a JSON answer", () => server.serve("j.mp4", '{"error":"expired"}'), "SourceNotMedia", "JSON"],
    ["a GIF", () => server.serve("g.gif", "GIF89a rest"), "SourceNotMedia", "still picture"],
    ["a ZIP archive", () => server.serve("z.zip", "PK\u0003\u0004 rest"), "SourceNotMedia", "ZIP"],
    ["a text", () => server.serve("t", "hello ".repeat(2000)), "SourceNotMedia", "damaged"],
    ["a server that never answers", () => server.serve("h", "x", "hang"), "SourceTimeout", "in time"],
    ["a closed port", () => "http://127.0.0.1:9/a.mp4", "SourceUnreachable", "refused"],
    ["a private address", () => "http://10.1.2.3/a.mp4", "SourceForbidden", "ROOMCAST_ALLOW_HOSTS"],
  ])("reports %s with its own code", async (_name, url, code, text) => {
    await expect(open(url())).rejects.toMatchObject({
      code: `FailedOperation.${code}`,
      message: expect.stringContaining(text),
    });
  });

  it.each([
    ["segments", "#EXTINF:1,\nhttp://10.1.2.3/0.ts\n#EXTINF:1,\nhttp://169.254.169.254/1.ts\n#EXT-X-ENDLIST", false],
    ["variants", "#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://10.1.2.3/a.m3u8", false],
    ["key", '#EXT-X-KEY:METHOD=AES-128,URI="http://10.1.2.3/key"\n#EXTINF:1,\nlist.ts\n#EXT-X-ENDLIST', false],
    // It is asked for again and again, in the hope of others, for as long as a source may take to open.
    ["newest segments", "#EXTINF:1,\nhttp://10.1.2.3/0.ts\n#EXTINF:1,\nhttp://10.1.2.3/1.ts", true],
  ])(
    "an HLS playlist whose %s the guard forbids fails as that, and says why",
    async (_what, text, live) => {
      server.serve("list.ts", clipMkv);
      const playlist = `#EXTM3U\n#EXT-X-TARGETDURATION:1\n${text}\n`;
      await expect(open(server.serve("forbidden.m3u8", playlist), { live })).rejects.toMatchObject({
        code: "FailedOperation.SourceForbidden",
        message: expect.stringMatching(/The address 1\S+ is .*ROOMCAST_ALLOW_HOSTS/),
      });
    },
    60_000,
  );

  it("loses no frame when the connection drops half-way and ranges work", async () => {
    const source = await open(server.serve("drop.mkv", clipMkv, "drop-once"));
    const { tags, end } = await readToEnd(source);
    expect(end).toEqual({ name: "finished" });
    expect(media(tags, "video")).toHaveLength(FPS * SECONDS);
  });

  it("fails the source when the server hangs half-way", async () => {
    const source = await open(server.serve("hang.mp4", bFramesMp4, "hang-half-way"));
    const { end } = await readToEnd(source);
    expect(end).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceTimeout" } });
  });

  it("reports a file that was cut short as truncated, not as finished", async () => {
    const source = await open(server.serve("cut.mp4", bFramesMp4, "cut-short"));
    const { end } = await readToEnd(source);
    expect(end).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceTruncated" } });
  });
});

describe("SourceFactory with a live source over HTTP", () => {
  it("reports its end as lost, not as finished", async () => {
    const flv = await server.make(
      "live.flv",
      ...PICTURE,
      ...SOUND,
      ...H264,
      ...AAC,
      "-flvflags",
      "no_duration_filesize",
    );
    const source = await open(server.serve("live.flv", flv, "stream"), { live: true, startAtMs: 3000 });
    expect(source.info).toMatchObject({ live: true, durationMs: null });
    const { tags, end } = await readToEnd(source);
    expect(media(tags, "video")).toHaveLength(FPS * SECONDS);
    expect(end).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceLost" } });
  });

  it("plays a recorded source as recorded with Mode live and gives the reason", async () => {
    const source = await open(server.serve("clip.mkv", clipMkv), { live: true });
    expect(source.info.live).toBe(false);
    expect(source.info.plan.reasons).toContainEqual(expect.stringContaining("Mode is live"));
    expect((await readToEnd(source)).end).toEqual({ name: "finished" });
  });
});

describe("SourceFactory", () => {
  it("shows no secret of its URL in a process's arguments", async () => {
    // ffmpeg waits for the second half, and so cannot have ended before it is looked at.
    const url = server.serve("b.mp4", bFramesMp4, "hang-half-way").replace("//", "//user:hunter22@");
    await open(`${url}?sign=s3cr3t`);
    const lines = await childCommandLines();
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.join("\n")).not.toMatch(/s3cr3t|hunter22|b\.mp4/);
    expect(server.requests.at(-1)?.headers.authorization).toMatch(/^Basic /);
  });

  it("does not let other users read the source with the arguments of its processes", async () => {
    await open(server.serve("b.mp4", bFramesMp4, "hang-half-way"));
    const [{ line, environment } = { line: "", environment: "" }] = await children();
    const url = /-i (\S+)/.exec(line)?.[1] ?? "";
    expect(url).toMatch(/^http:\/\/source\.invalid\/\d+\/media\.mp4$/);
    const proxy = new URL(/http_proxy=([^\0]+)/.exec(environment)?.[1] ?? "");
    expect(line).not.toContain(proxy.password);
    const address = `${proxy.origin}${new URL(url).pathname}`;
    const before = server.requests.length;
    const refused = await request(address);
    expect([refused.statusCode, await refused.body.text()]).toEqual([407, ""]);
    expect(server.requests).toHaveLength(before);
    // With the environment, the very same request is answered.
    const authorization = Buffer.from(`${proxy.username}:${proxy.password}`).toString("base64");
    const answered = await request(address, {
      headers: { "proxy-authorization": `Basic ${authorization}`, range: "bytes=0-" },
    });
    expect(answered.statusCode).toBe(206);
    answered.body.once("error", () => {}).destroy();
  });

  it("shows no secret of its URL in an error", async () => {
    const url = server.url("nothing.mp4").replace("//", "//user:hunter22@");
    const error = await open(`${url}?sign=s3cr3t`).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect(JSON.stringify([String(error), error])).not.toMatch(/s3cr3t|hunter22/);
  });

  it("leaves no process running when a source is closed early, and allows a second close", async () => {
    const source = await open(server.serve("b.mp4", bFramesMp4));
    await Promise.all([source.close(), source.close()]);
    expect(await childCommandLines()).toEqual([]);
  });

  it("can be cancelled while it opens a source", async () => {
    const controller = new AbortController();
    const opening = open(server.serve("h", "x", "hang"), { live: true, signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(opening).rejects.toThrow("enough");
    expect(await childCommandLines()).toEqual([]);
  });
});
