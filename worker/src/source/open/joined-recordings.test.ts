import { parseAddressPolicy } from "@roomcast/shared";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Egress } from "../../egress/egress.ts";
import { findMediaTools } from "../ffmpeg/media-tools.ts";
import type { Source } from "../source.ts";
import { MediaServer, media, readToEnd } from "../sources.test-support.ts";
import { type OpenSourceOptions, SourceFactory } from "./open-source.ts";

const VIDEO = "-c:v libx264 -preset ultrafast -bf 0 -g 25 -sc_threshold 0 -pix_fmt yuv420p";

let server: MediaServer;
let egress: Egress;
let sources: SourceFactory;
const opened: Source[] = [];

beforeAll(async () => {
  const found = await findMediaTools();
  if (found.name === "missing") throw new Error(found.problems.map(({ message }) => message).join("\n"));
  server = await MediaServer.start();
  egress = new Egress({ policy: parseAddressPolicy(["127.0.0.1"]) });
  sources = await SourceFactory.start({ tools: found.tools, egress });
  const part = async (name: string, size: string, seconds: number, sound: string) => {
    const picture = `-f lavfi -i testsrc2=s=${size}:r=25:d=${seconds},noise=alls=20 -f lavfi -i sine=r=48000:d=${seconds}`;
    return await server.make(name, ...`${picture} ${VIDEO} -qp 35 -c:a aac ${sound}`.split(" "));
  };
  const [first, second] = await Promise.all([
    part("first.ts", "320x180", 8, "-ar 48000 -ac 2"),
    part("second.ts", "640x360", 12, "-ar 44100 -ac 1"),
  ]);
  server.serve("joined.ts", Buffer.concat([first, second]));
  server.serve("later.ts", Buffer.concat([second, first]));
}, 60_000);

afterEach(async () => {
  await Promise.all(opened.splice(0).map((source) => source.close()));
});

afterAll(async () => {
  await sources.close();
  await egress.close();
  await server.stop();
});

async function play(name: string, more: Partial<OpenSourceOptions> = {}) {
  const { signal } = new AbortController();
  const log = pino({ level: "silent" });
  const source = await sources.open({ url: server.url(name), live: false, startAtMs: 0, signal, log, ...more });
  opened.push(source);
  const { tags, end } = await readToEnd(source);
  const pictures = media(tags, "video");
  const steps = pictures.slice(1).map(({ dtsMs }, at) => dtsMs - (pictures[at]?.dtsMs ?? 0));
  return { source, tags, end, pictures, steps, sound: media(tags, "audio") };
}

describe("Two recordings joined to one MPEG-TS file", () => {
  it.each([
    ["copied", {}],
    ["with another volume", { volume: 80 }],
  ])("play one after the other in the picture and sound format of the first: %s", async (_what, more) => {
    const { source, end, pictures, steps, sound } = await play("joined.ts", more);
    expect(end).toEqual({ name: "finished" });
    expect(source.info).toMatchObject({ width: 320, height: 180, audioFormat: { sampleRateHz: 48_000, channels: 2 } });
    expect(Math.abs(pictures.length - 500)).toBeLessThanOrEqual(4);
    expect(Math.min(...steps)).toBeGreaterThan(0);
    expect(Math.max(...steps)).toBeLessThan(130);
    expect((sound.at(-1)?.dtsMs ?? 0) - (sound[0]?.dtsMs ?? 0)).toBeGreaterThan(19_800);
  });

  it("have positions that count both, so that playing can be resumed", async () => {
    const { source, pictures } = await play("joined.ts");
    expect(source.info.durationMs).toBeNull();
    const last = pictures.at(-1);
    expect(last?.positionMs ?? last?.dtsMs).toBeGreaterThan(19_800);
  });

  it.each([
    ["the first", "joined.ts", 3000, 425],
    ["the second", "joined.ts", 14_000, 150],
    ["a second one that is shorter", "later.ts", 16_000, 100],
  ])("can be opened at a position in %s", async (_where, name, startAtMs, frames) => {
    const { end, pictures } = await play(name, { startAtMs });
    expect(end).toEqual({ name: "finished" });
    // A copied source begins at the keyframe before; keyframes are one second apart.
    const [first] = pictures;
    const earlyMs = startAtMs - (first?.positionMs ?? first?.dtsMs ?? 0);
    expect(earlyMs).toBeGreaterThan(-100);
    expect(earlyMs).toBeLessThan(1100);
    expect(Math.abs(pictures.length - frames - earlyMs / 40)).toBeLessThanOrEqual(4);
  });
});
