import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../../base/eventually.test-support.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import { COPYABLE_VIDEO, drain, FileServer, ffmpeg, PICTURE, TONE, tagsOfFlv } from "./mp4.test-support.ts";

let folder: string;
let server: FileServer;
/** A file with its index in front and mono audio. */
let clip: Buffer;

async function make(name: string, args: readonly string[]): Promise<Buffer> {
  const path = join(folder, name);
  await ffmpeg([...args, path]);
  return await readFile(path);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "roomcast-mp4-"));
  clip = await make("clip.mp4", [...PICTURE, ...TONE, ...COPYABLE_VIDEO, ...FRONT]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  server = await FileServer.start();
  server.file = clip;
});
afterEach(() => server.stop());

/** Describes tags for a comparison, with their times relative to `zeroMs`. */
function outline(tags: readonly MediaTag[], zeroMs: number) {
  return tags
    .filter((tag) => !tag.sequenceHeader)
    .map(({ kind, dtsMs, keyframe, payload }) => ({
      kind,
      // ffmpeg rounds to whole ms.
      dtsMs: Math.round(dtsMs - zeroMs),
      keyframe,
      bytes: payload.toString("base64"),
    }));
}

function expectSameTags(ours: readonly MediaTag[], theirs: readonly MediaTag[]): void {
  for (const kind of ["video", "audio"] as const) {
    const own = ours.filter((tag) => tag.kind === kind);
    const reference = theirs.filter((tag) => tag.kind === kind);
    // ffmpeg moves the clock so that the earliest tag, the audio's priming, is at zero.
    const zeroMs = Math.min(...ours.map((tag) => tag.dtsMs));
    const mine = outline(own, zeroMs);
    const other = outline(reference, 0);
    expect(mine.map((tag) => tag.bytes)).toEqual(other.map((tag) => tag.bytes));
    expect(mine.map((tag) => tag.keyframe)).toEqual(other.map((tag) => tag.keyframe));
    const apart = mine.map((tag, index) => Math.abs(tag.dtsMs - (other[index]?.dtsMs ?? 0)));
    expect(Math.max(...apart)).toBeLessThanOrEqual(1);
    expect(own[0]?.sequenceHeader).toBe(true);
    expect(own[0]?.payload).toEqual(reference[0]?.payload);
  }
}

const FRONT = ["-movflags", "+faststart"];
/** Without these options, ffmpeg would fill the time before a late first picture with copies of it. */
const UNFILLED = ["-fps_mode", "passthrough", ...FRONT];

describe("openMp4Source", () => {
  describe("when the file needs no transcoding", () => {
    it.each([
      ["its index in front, mono", [...PICTURE, ...TONE, ...COPYABLE_VIDEO, ...FRONT]],
      ["its index at the end, stereo", [...PICTURE, ...TONE, "-ac", "2", ...COPYABLE_VIDEO]],
      ["sound that begins later", [...PICTURE, "-itsoffset", "0.5", ...TONE, ...COPYABLE_VIDEO, ...FRONT]],
      ["a picture that begins later", ["-itsoffset", "0.4", ...PICTURE, ...TONE, ...COPYABLE_VIDEO, ...UNFILLED]],
      ["no edit lists", [...PICTURE, ...TONE, ...COPYABLE_VIDEO, "-use_editlist", "0"]],
      [
        "44.1 kHz sound shorter than the picture",
        [...PICTURE, ...TONE, "-ar", "44100", "-t:a", "1", ...COPYABLE_VIDEO],
      ],
      ["a third track", [...PICTURE, ...TONE, ...TONE, "-map", "0", "-map", "1", "-map", "2", ...COPYABLE_VIDEO]],
    ])("gives the same tags as ffmpeg for a file with %s", async (name, args) => {
      server.file = await make(`${name.replaceAll(/\W/g, "-")}.mp4`, args);
      const source = await server.openSource();
      const ours = await drain(source);
      expect(source.end).toEqual({ name: "finished" });
      const input = ["-i", join(folder, `${name.replaceAll(/\W/g, "-")}.mp4`)];
      const flv = await ffmpeg([...input, "-map", "0:v:0", "-map", "0:a:0", "-c", "copy", "-f", "flv", "pipe:1"]);
      expectSameTags(ours, tagsOfFlv(flv));
      await source.close();
    });

    it("describes the output, in which nothing is encoded", async () => {
      const source = await server.openSource();
      expect(source.info).toEqual({
        live: false,
        audioFormat: { sampleRateHz: 48_000, channels: 1 },
        durationMs: expect.closeTo(2000, -2),
        width: 320,
        height: 180,
        fps: 25,
        plan: { video: "copy", audio: "copy", reasons: [] },
      });
      await source.close();
    });

    it("has both sequence headers and the first keyframe when it resolves", async () => {
      const source = await server.openSource();
      const first = [source.shift(), source.shift(), source.shift(), source.shift()];
      expect(first.filter((tag) => tag?.sequenceHeader).map((tag) => tag?.kind)).toEqual(["video", "audio"]);
      expect(first.some((tag) => tag?.kind === "video" && tag.keyframe)).toBe(true);
      await source.close();
    });

    it("gives tags in decoding order over both tracks", async () => {
      const source = await server.openSource();
      const times = (await drain(source)).filter((tag) => !tag.sequenceHeader).map((tag) => tag.dtsMs);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      await source.close();
    });

    it("makes one request when the index is in front and two when it is at the end", async () => {
      await (await server.openSource()).close();
      expect(server.requests).toEqual([0]);
      server.requests.length = 0;
      server.file = await make("tail.mp4", ["-i", join(folder, "clip.mp4"), "-c", "copy"]);
      const source = await server.openSource();
      await drain(source);
      expect(server.requests).toHaveLength(2);
      await source.close();
    });

    it("begins in the middle with the keyframe before the position, and with audio that is not earlier", async () => {
      const source = await server.openSource({ startAtMs: 1500 });
      const media = (await drain(source)).filter((tag) => !tag.sequenceHeader);
      const video = media.filter((tag) => tag.kind === "video");
      const audio = media.filter((tag) => tag.kind === "audio");
      expect(video[0]).toMatchObject({ dtsMs: 1000, keyframe: true });
      expect(video).toHaveLength(25);
      expect(audio[0]?.dtsMs).toBeGreaterThanOrEqual(1000);
      expect(audio[0]?.dtsMs).toBeLessThan(1025);
      await source.close();
    });

    it("plays a file with its index in front from a server without ranges", async () => {
      server.ranges = false;
      const source = await server.openSource();
      expect((await drain(source)).filter((tag) => tag.kind === "video")).toHaveLength(51);
      await source.close();
    });
  });

  describe("when the file needs ffmpeg", () => {
    const SOUND_AND_PICTURE = [...PICTURE, ...TONE];
    it.each([
      ["B-frames", [...SOUND_AND_PICTURE, "-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p"], /B-frames/],
      ["no sound", [...PICTURE, ...COPYABLE_VIDEO], /no audio/],
      ["no picture", [...TONE, "-c:a", "aac"], /no video/],
      ["keyframes far apart", [...SOUND_AND_PICTURE, ...COPYABLE_VIDEO, "-r", "5", "-vf", "setpts=3*PTS"], /5 s apart/],
      // ffprobe reports this rotation as 90 degrees counter-clockwise.
      ["a turned picture", ["-i", "CLIP", "-c", "copy", "-metadata:s:v", "rotate=90"], /turned by 270/],
      ["wide pixels", [...SOUND_AND_PICTURE, "-vf", "setsar=4/3", ...COPYABLE_VIDEO], /not square/],
      ["5.1 sound", [...SOUND_AND_PICTURE, "-ac", "6", ...COPYABLE_VIDEO], /6 channels/],
    ])("returns the reason and a complete description for a file with %s", async (name, args, reason) => {
      const given = args.map((arg) => (arg === "CLIP" ? join(folder, "clip.mp4") : arg));
      server.file = await make(`${name.replaceAll(/\W/g, "-")}.mp4`, given);
      const result = await server.open();
      expect(result).toMatchObject({ name: "needs-ffmpeg", reason: expect.stringMatching(reason) });
      expect(result.name === "needs-ffmpeg" && result.probed).not.toBeNull();
    });

    it.each([
      ["HEVC", ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"], /avc1/],
      ["MP3 sound", [...COPYABLE_VIDEO, "-c:a", "libmp3lame"], /not AAC/],
    ])("returns the reason without a description for a file with %s", async (name, args, reason) => {
      server.file = await make(`${name.replaceAll(/\W/g, "-")}.mp4`, [...SOUND_AND_PICTURE, ...args]);
      expect(await server.open()).toEqual({
        name: "needs-ffmpeg",
        probed: null,
        reason: expect.stringMatching(reason),
      });
    });

    it("returns the reason without waiting when video begins long after audio", async () => {
      const noise = ["-f", "lavfi", "-i", "anoisesrc=d=30:r=48000"];
      server.file = await make("late.mp4", [
        "-itsoffset",
        "40",
        ...PICTURE,
        ...noise,
        ...COPYABLE_VIDEO,
        "-b:a",
        "256k",
        ...UNFILLED,
      ]);
      expect(await server.open()).toMatchObject({
        name: "needs-ffmpeg",
        reason: expect.stringMatching(/begins 40 s after the sound/),
      });
    });

    it("makes one request and cancels it when the file is not an MP4 file", async () => {
      server.file = Buffer.alloc(16 * 1024 * 1024, "x");
      expect(await server.open()).toMatchObject({ name: "needs-ffmpeg", probed: null });
      expect(server.requests).toEqual([0]);
      await eventually(async () => expect(await server.openConnections()).toBe(0));
    });
  });

  describe("when the file cannot be played", () => {
    it("refuses a file with its index at the end on a server without ranges, and says what to do", async () => {
      server.file = await make("tail.mp4", ["-i", join(folder, "clip.mp4"), "-c", "copy"]);
      server.ranges = false;
      await expect(server.open()).rejects.toMatchObject({
        code: "FailedOperation.SourceUnsupported",
        message: expect.stringMatching(/index at the end.*cannot send parts.*faststart/),
      });
    });

    it.each([
      ["a web page", "<!DOCTYPE html><html><body>Not here</body></html>", "SourceNotMedia", /web page/],
      ["a web page after a byte order mark", "\uFEFF\n<html lang=en>", "SourceNotMedia", /web page/],
      ["a DASH manifest", '<?xml version="1.0"?>\n<!-- made -->\n<MPD xmlns="urn:mpeg">', "SourceUnsupported", /DASH/],
      ["an error of an object store", '<?xml version="1.0"?><Error><Code>x</Code></Error>', "SourceNotMedia", /XML/],
      ["a JSON answer", '{"error":"expired"}', "SourceNotMedia", /JSON/],
      ["a ZIP archive", "PK\u0003\u0004rest of it", "SourceNotMedia", /ZIP/],
      ["a RAR archive", "Rar!\u001a\u0007\u0000", "SourceNotMedia", /archive/],
      ["a PDF document", "%PDF-1.7", "SourceNotMedia", /PDF/],
      ["a torrent", "d8:announce35:udp", "SourceUnsupported", /torrent/],
    ])("throws an error that names %s", async (_name, body, code, message) => {
      server.file = Buffer.from(body, "utf8");
      await expect(server.open()).rejects.toMatchObject({
        code: `FailedOperation.${code}`,
        message: expect.stringMatching(message),
      });
    });

    it.each([
      ["PNG", "89504e470d0a1a0a0000000d49484452"],
      ["JPEG", "ffd8ffe000104a4649460001"],
      ["GIF", "474946383961"],
    ])("throws an error that names a still picture for a %s file", async (_name, hex) => {
      server.file = Buffer.from(hex, "hex");
      await expect(server.open()).rejects.toMatchObject({ message: expect.stringMatching(/still picture/) });
    });
  });

  describe("when the server fails", () => {
    it.each([
      [404, "FailedOperation.SourceNotFound"],
      [410, "FailedOperation.SourceNotFound"],
      [403, "FailedOperation.SourceForbidden"],
      [401, "FailedOperation.SourceForbidden"],
      [503, "FailedOperation.SourceUnreachable"],
      [504, "FailedOperation.SourceTimeout"],
    ])("reports status %i as %s without the URL's query", async (status, code) => {
      server.statuses.push(...Array.from({ length: 100 }, () => status));
      const error = await server.open({ patienceMs: 300 }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code });
      expect(String(error)).not.toContain("secret");
    });

    it("reports an empty file when the server answers 416 to a range and no bytes without one", async () => {
      server.statuses.push(416);
      server.file = Buffer.alloc(0);
      const error = await server.open().catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        code: "FailedOperation.SourceNotMedia",
        message: "The source is empty (0 bytes).",
      });
    });

    it("loses nothing when the connection drops repeatedly", async () => {
      server.cuts.push(20_000, 30_000, 1, 0, 10_000);
      const source = await server.openSource();
      const broken = await drain(source);
      expect(source.end).toEqual({ name: "finished" });
      expect(server.requests).toHaveLength(6);
      const whole = await drain(await server.openSource());
      expect(broken).toEqual(whole);
      await source.close();
    });

    it("loses nothing when the ETag changes, as it does between the nodes of a CDN", async () => {
      server.cuts.push(20_000);
      const source = await server.openSource();
      server.etag = '"2"';
      await drain(source);
      expect(source.end).toEqual({ name: "finished" });
      await source.close();
    });

    it("ends the source with an error when the file changes while it is played", async () => {
      server.cuts.push(20_000);
      const source = await server.openSource();
      server.file = Buffer.concat([clip, Buffer.alloc(1000)]);
      await drain(source);
      expect(source.end).toMatchObject({
        name: "failed",
        error: {
          code: "FailedOperation.SourceLost",
          message: expect.stringContaining("changed while it was being played"),
        },
      });
      await source.close();
    });

    it("ends the source with an error when the server does not come back in time", async () => {
      server.cuts.push(20_000);
      const source = await server.openSource({ patienceMs: 300 });
      server.statuses.push(...Array.from({ length: 100 }, () => 503));
      await drain(source);
      expect(source.end).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceLost" } });
      await source.close();
    });

    it("loses nothing when a connection to a server without ranges drops", async () => {
      server.ranges = false;
      server.cuts.push(20_000);
      const source = await server.openSource();
      await drain(source);
      expect(source.end).toEqual({ name: "finished" });
      await source.close();
    });
  });

  describe("when the file is cut short", () => {
    it("plays the existing part and ends with SourceTruncated", async () => {
      server.file = clip.subarray(0, clip.length - 10_000);
      const source = await server.openSource();
      expect((await drain(source)).length).toBeGreaterThan(50);
      expect(source.end).toMatchObject({
        name: "failed",
        error: {
          code: "FailedOperation.SourceTruncated",
          message: expect.stringMatching(/media end at 1\.\d s, its index says 2\.0 s/),
        },
      });
      await source.close();
    });

    it("rejects with SourceTruncated when the file ends before its index", async () => {
      const tail = await make("tail.mp4", ["-i", join(folder, "clip.mp4"), "-c", "copy"]);
      server.file = tail.subarray(0, tail.length - 5000);
      await expect(server.open()).rejects.toMatchObject({ code: "FailedOperation.SourceTruncated" });
    });
  });

  describe("when the reader is slow", () => {
    it("bounds the queue, and gives the whole file even if the server closes the idle connection", async () => {
      // The file must be larger than the buffers of the sockets.
      server.file = await make("long.mp4", [
        "-stream_loop",
        "200",
        "-i",
        join(folder, "clip.mp4"),
        "-c",
        "copy",
        ...FRONT,
      ]);
      expect(server.file.length).toBeGreaterThan(12 * 1024 * 1024);
      const source = await server.openSource();
      await eventually(() => expect(source.queuedBytes).toBeGreaterThan(512 * 1024));
      const full = source.queuedBytes;
      const read = server.bytesRead;
      // The server closes a connection that is not read. The reader notices this when it continues.
      server.dropConnections();
      await eventually(async () => expect(await server.openConnections()).toBe(0));
      expect(source.queuedBytes).toBe(full);
      expect(server.bytesRead).toBe(read);
      expect(source.end).toBeUndefined();
      let [frames, most] = [0, full];
      for (;;) {
        const tag = source.shift();
        most = Math.max(most, source.queuedBytes);
        if (tag?.kind === "video" && !tag.sequenceHeader) frames += 1;
        if (tag !== undefined) continue;
        if (source.end !== undefined) break;
        await new Promise<void>((resolve) => {
          source.onReadable = resolve;
        });
      }
      expect(source.end).toEqual({ name: "finished" });
      expect(frames).toBe(201 * 50);
      // The bound is the queue's limit plus one picture. Reading also includes the index.
      expect(most).toBeLessThan(640 * 1024);
      expect(read).toBeLessThan(2 * 1024 * 1024);
      expect(server.requests).toHaveLength(2);
      await source.close();
    });
  });

  describe("when it is closed", () => {
    it("ends the connection, also when close is repeated", async () => {
      const source = await server.openSource();
      await Promise.all([source.close(), source.close()]);
      expect(source.peek()).toBeUndefined();
      await eventually(async () => expect(await server.openConnections()).toBe(0));
    });

    it("rejects with the signal's reason and closes the connection when the signal aborts the opening", async () => {
      const controller = new AbortController();
      const opening = server.open({ signal: controller.signal });
      controller.abort(new Error("no longer wanted"));
      await expect(opening).rejects.toThrow("no longer wanted");
      await eventually(async () => expect(await server.openConnections()).toBe(0));
    });
  });
});
