import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { planPush } from "../plan/plan.ts";
import { MediaServer, media, readToEnd } from "../sources.test-support.ts";
import { transcodeFlv } from "./ffmpeg-source.ts";
import { findMediaTools } from "./media-tools.ts";
import { prepareToStartFfmpeg } from "./start-ffmpeg.ts";

const INFO = {
  container: "flv",
  durationMs: null,
  video: {
    codec: "h264",
    width: 320,
    height: 240,
    fps: 25,
    pixelFormat: "yuv420p",
    hasBFrames: true,
    gopMs: null,
    rotation: 0,
    squarePixels: true,
    interlaced: false,
  },
  audio: { codec: "aac", channels: 1, sampleRateHz: 48_000 },
} as const;

let server: MediaServer;
let flv: Buffer;

beforeAll(async () => {
  const found = await findMediaTools();
  if (found.name === "missing") throw new Error("no ffmpeg");
  await prepareToStartFfmpeg(found.tools);
  server = await MediaServer.start();
  const picture = ["-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=2", "-f", "lavfi", "-i", "sine=r=48000:d=2"];
  flv = await server.make("b.flv", ...picture, "-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac");
});

afterAll(() => server.stop());

const LIVE = { media: INFO, plan: planPush(INFO), live: true, readyTimeoutMs: 15_000 };

describe("transcodeFlv", () => {
  it("removes B-frames from a live FLV stream and reports its end as a loss", async () => {
    let closed = 0;
    const stream = Readable.from([flv.subarray(0, 5000), flv.subarray(5000)]);
    const source = await transcodeFlv({ ...LIVE, stream, onClose: () => void (closed += 1) });
    const { tags, end } = await readToEnd(source);
    expect(media(tags, "video").length).toBeGreaterThanOrEqual(49);
    expect(media(tags, "video").every((tag) => tag.compositionMs === 0)).toBe(true);
    expect(end).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceLost" } });
    await Promise.all([source.close(), source.close()]);
    expect(closed).toBe(1);
    expect(stream.destroyed).toBe(true);
  });

  it("ends the source when the stream breaks", async () => {
    const stream = new Readable({ read() {} });
    stream.push(flv.subarray(0, 20_000));
    const opening = transcodeFlv({ ...LIVE, stream });
    stream.destroy(new Error("the server went away"));
    await expect(opening).rejects.toMatchObject({ code: "FailedOperation.SourceLost" });
  });
});
