import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { pino } from "pino";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../../base/eventually.test-support.ts";
import type { FlvTag } from "../../media/flv/flv-writer.ts";
import { PLAIN_AAC, PLAIN_H264, sampleFlv } from "../../media/flv/sample-flv.test-support.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import { directDial } from "../../rtmp/dial-rtmp.ts";
import { IndependentRtmpServer } from "../../rtmp/independent-rtmp-server.test-support.ts";
import { MESSAGE } from "../../rtmp/message.ts";
import {
  admit,
  type Script,
  type ScriptedPeer,
  ScriptedRtmpServer,
} from "../../rtmp/scripted-rtmp-server.test-support.ts";
import { transcodeFlv } from "../ffmpeg/ffmpeg-source.ts";
import type { Source } from "../source.ts";
import { openRtmpSource, type RtmpSourceOptions } from "./rtmp-source.ts";

/** A busy machine may take longer than the default of `waitFor`, one second. */

const fixture = (name: string) => readFileSync(new URL(`../../rtmp/fixtures/${name}`, import.meta.url), "utf8");

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

/** Starts an ffmpeg that publishes a test picture in real time until the test has ended. */
function ffmpegPublishes(url: string): void {
  const inputs = ["-re", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25", "-f", "lavfi", "-i", "sine=r=48000"];
  const args = ["-v", "error", "-nostdin", ...inputs, ...PLAIN_H264, ...PLAIN_AAC, "-f", "flv", url];
  const child = spawn("ffmpeg", args, { stdio: "ignore" });
  const closed = new Promise((resolve) => child.once("close", resolve));
  cleanUps.push(() => {
    child.kill("SIGKILL");
    return closed;
  });
}

async function open(url: string, options: Partial<RtmpSourceOptions> = {}): Promise<Source> {
  const log = pino({ level: "silent" });
  const source = await openRtmpSource({ url, askedLive: true, connect: directDial(), transcodeFlv, log, ...options });
  cleanUps.push(() => source.close());
  return source;
}

/** Takes tags until the given number has come. */
async function take(source: Source, count: number): Promise<MediaTag[]> {
  const tags: MediaTag[] = [];
  await eventually(() => {
    for (let tag = source.shift(); tag !== undefined; tag = source.shift()) tags.push(tag);
    expect(tags.length).toBeGreaterThanOrEqual(count);
  });
  return tags;
}

function send(peer: ScriptedPeer, tags: readonly FlvTag[], shiftMs = 0): void {
  for (const { kind, timestampMs, payload } of tags) {
    const typeId = { audio: MESSAGE.audio, video: MESSAGE.video, data: MESSAGE.dataAmf0 }[kind];
    peer.connection.send({ chunkStreamId: 6, typeId, streamId: 1, timestampMs: timestampMs + shiftMs, payload });
  }
}

/** Starts a server that plays these tags and keeps the connection open. */
async function playing(tags: readonly FlvTag[], shiftMs = 0): Promise<{ server: ScriptedRtmpServer; url: string }> {
  const script: Script = (peer, command) => {
    admit(peer, command);
    if (command.name !== "play") return;
    peer.status("status", "NetStream.Play.Start");
    send(peer, tags, shiftMs);
  };
  const server = await ScriptedRtmpServer.start(script);
  cleanUps.push(() => server.stop());
  return { server, url: `rtmp://127.0.0.1:${server.port}/live/scripted` };
}

/** Lists violations of the rules of a room: headers first, then a keyframe at 0, and times that rise. */
function faultsOf(tags: readonly MediaTag[]): string[] {
  const faults: string[] = [];
  for (const kind of ["audio", "video"] as const) {
    const track = tags.filter((tag) => tag.kind === kind);
    if (track[0]?.sequenceHeader !== true) faults.push(`${kind} begins without its header`);
    const times = track.filter((tag) => !tag.sequenceHeader).map((tag) => tag.dtsMs);
    const [first = -1] = times;
    if (first < 0 || first >= 100) faults.push(`${kind} begins at ${first} ms`);
    if (times.some((time, index) => index > 0 && time < (times[index - 1] ?? 0))) faults.push(`${kind} goes back`);
  }
  const picture = tags.find((tag) => tag.kind === "video" && !tag.sequenceHeader);
  if (picture?.keyframe !== true || picture.dtsMs !== 0) faults.push("the first picture is no keyframe at 0");
  return faults;
}

describe("openRtmpSource", () => {
  let plain: FlvTag[];

  beforeAll(async () => {
    plain = await sampleFlv({ seconds: 3, fps: 25, video: PLAIN_H264, audio: PLAIN_AAC });
  });

  it("copies a live stream that ffmpeg publishes to an independent server, from a keyframe and time 0 on", async () => {
    const server = await IndependentRtmpServer.start();
    cleanUps.push(() => server.stop());
    const url = `rtmp://127.0.0.1:${server.port}/live/from-ffmpeg`;
    const published = server.published("/live/from-ffmpeg");
    ffmpegPublishes(url);
    await published;
    const source = await open(url);
    expect(source.info).toMatchObject({
      live: true,
      durationMs: null,
      width: 320,
      height: 180,
      fps: 25,
      plan: { video: "copy", audio: "copy", reasons: [] },
    });
    expect(faultsOf(await take(source, 60))).toEqual([]);
    server.endConnections();
    await eventually(() => expect(source.end).toMatchObject({ error: { code: "FailedOperation.SourceLost" } }));
  });

  it("plays over rtmps only from a server with a valid certificate", async () => {
    const [key, cert, ca] = ["test-server.key.pem", "test-server.crt.pem", "test-ca.crt.pem"].map(fixture);
    const server = await IndependentRtmpServer.start({ tls: { key: key ?? "", cert: cert ?? "" } });
    cleanUps.push(() => server.stop());
    const url = `rtmps://localhost:${server.port}/live/secure`;
    const published = server.published("/live/secure");
    // ffmpeg may resolve localhost to ::1, so it gets the IPv4 address.
    ffmpegPublishes(url.replace("localhost", "127.0.0.1"));
    await published;
    await expect(open(url)).rejects.toMatchObject({ code: "FailedOperation.SourceUnreachable" });
    const source = await open(url, { connect: directDial(ca) });
    expect(source.info).toMatchObject({ live: true, width: 320, plan: { video: "copy", audio: "copy", reasons: [] } });
    expect(faultsOf(await take(source, 30))).toEqual([]);
  });

  it.each([0, 16_777_000, 2 ** 32 - 500])(
    "begins at a keyframe and time 0 when the server's clock is at %i ms",
    async (shiftMs) => {
      const { url } = await playing(plain, shiftMs);
      const source = await open(url);
      const tags = await take(source, 20);
      expect(faultsOf(tags)).toEqual([]);
    },
  );

  it("drops media before the first keyframe", async () => {
    const first = plain.findIndex((tag) => tag.kind === "video" && tag.payload[0] === 0x17 && tag.payload[1] === 1);
    const { url } = await playing(plain.filter((_tag, index) => index !== first));
    expect(faultsOf(await take(await open(url), 20))).toEqual([]);
  });

  it("removes B-frames with ffmpeg", async () => {
    const video = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-pix_fmt", "yuv420p"];
    const { url, server } = await playing(await sampleFlv({ seconds: 3, fps: 25, video, audio: PLAIN_AAC }));
    const source = await open(url);
    expect(source.info.plan).toMatchObject({ video: "transcode", audio: "copy" });
    // ffmpeg gives a decoded picture only after another second of input, or at the end.
    server.peers[0]?.connection.destroy();
    const tags = await take(source, 20);
    expect(tags.filter((tag) => tag.compositionMs !== 0)).toEqual([]);
    await eventually(() => expect(source.end).toMatchObject({ error: { code: "FailedOperation.SourceLost" } }));
  });

  it("makes silence for a stream without audio", async () => {
    const { url, server } = await playing(plain.filter((tag) => tag.kind === "video"));
    const opening = open(url);
    await eventually(() => expect(server.peers[0]?.commands.at(-1)?.name).toBe("play"));
    const source = await opening;
    expect(source.info.plan).toMatchObject({ video: "copy", audio: "generate" });
  });

  it("names the missing tracks when no media comes in time", async () => {
    const { url } = await playing([]);
    await expect(open(url, { readyTimeoutMs: 50 })).rejects.toMatchObject({
      code: "FailedOperation.SourceTimeout",
      message: expect.stringMatching(/app "live", stream "….*audio and video within 50 ms/),
    });
  });

  it("reports a missing keyframe when none comes in time", async () => {
    const { url } = await playing(
      plain.filter((tag) => tag.kind !== "video" || tag.payload[0] !== 0x17 || tag.payload[1] === 0),
    );
    await expect(open(url, { readyTimeoutMs: 2000 })).rejects.toMatchObject({
      code: "FailedOperation.SourceTimeout",
      message: expect.stringContaining("a keyframe"),
    });
  });

  it("counts the end of a recorded stream as regular only when the task is not live", async () => {
    for (const [askedLive, end] of [
      [false, { name: "finished" }],
      [true, { name: "failed", error: { code: "FailedOperation.SourceLost" } }],
    ] as const) {
      const { url, server } = await playing(plain);
      const source = await open(url, { askedLive });
      expect(source.info.live).toBe(true);
      const told = askedLive ? [] : ["Mode is vod, but the source is live: it starts at its newest."];
      expect(source.info.plan.reasons).toEqual(told);
      server.peers[0]?.status("status", "NetStream.Play.Stop");
      await eventually(() => {
        // A full queue holds the server back, and its status comes after the media.
        while (source.shift() !== undefined) continue;
        expect(source.end).toMatchObject(end);
      });
    }
  });

  it("encodes to the session's picture and sound at normal speed", async () => {
    const { url } = await playing(plain);
    const canvas = { width: 160, height: 160 };
    const wishes = { canvas, audioFormat: { sampleRateHz: 44_100, channels: 1 }, tempo: 2 };
    const source = await open(url, { wishes });
    expect(source.info).toMatchObject({ live: true, ...canvas, audioFormat: wishes.audioFormat });
    expect(source.info.tempo).toBeUndefined();
    expect(source.info.plan).toMatchObject({ video: "transcode", audio: "transcode" });
    expect(source.info.plan.reasons.at(-1)).toMatch(/Tempo is not applied/);
  });

  it("leaves nothing running when it is cancelled", async () => {
    const { url, server } = await playing([]);
    const abort = new AbortController();
    const opening = open(url, { signal: abort.signal });
    await eventually(() => expect(server.peers[0]?.commands.at(-1)?.name).toBe("play"));
    abort.abort(new Error("changed my mind"));
    await expect(opening).rejects.toThrow("changed my mind");
    await server.peers[0]?.connection.closed;
  });
});
