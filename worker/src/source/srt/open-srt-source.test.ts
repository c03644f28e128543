import { parseAddressPolicy } from "@roomcast/shared";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../../base/eventually.test-support.ts";
import { Egress } from "../../egress/egress.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import { retryPolicyFor } from "../../player/source-retry-policy.ts";
import { childCommandLines, children } from "../child-processes.test-support.ts";
import { findMediaTools, type MediaTools } from "../ffmpeg/media-tools.ts";
import { type OpenSourceOptions, SourceFactory } from "../open/open-source.ts";
import type { Source } from "../source.ts";
import { media, readToEnd } from "../sources.test-support.ts";
import { COPYABLE, FOREIGN, SrtServer } from "./srt-server.test-support.ts";

/** Contains all characters that are difficult to quote. */
const PASSPHRASE = String.raw`s3cret's \ pass "phrase"`;
const QUERY = `streamid=%23!::r=live/k3y's,m=request&passphrase=${encodeURIComponent(PASSPHRASE)}`;
const SECRETS = /s3cret|k3y/;

let tools: MediaTools;
let egress: Egress;
let sources: SourceFactory;
const lookedUp: string[] = [];
const cleanUps: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  const found = await findMediaTools();
  if (found.name === "missing") throw new Error(found.problems.map(({ message }) => message).join("\n"));
  tools = found.tools;
  egress = new Egress({
    policy: parseAddressPolicy(["127.0.0.1"]),
    // Only this lookup knows the host; ffmpeg could not resolve it.
    lookup: async (hostname) => {
      lookedUp.push(hostname);
      return [{ address: hostname === "forbidden.example" ? "10.1.2.3" : "127.0.0.1", family: 4 }];
    },
  });
  sources = await SourceFactory.start({ tools, egress });
});

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

afterAll(async () => {
  await sources.close();
  await egress.close();
});

async function serve(options: Parameters<typeof SrtServer.start>[1] = {}): Promise<SrtServer> {
  const server = await SrtServer.start(`passphrase=${PASSPHRASE}`, options);
  cleanUps.push(() => server.stop());
  return server;
}

async function open(url: string, more: Partial<OpenSourceOptions> = {}): Promise<Source> {
  const { signal } = new AbortController();
  const log = pino({ level: "silent" });
  const source = await sources.open({ url, live: true, startAtMs: 5000, signal, log, ...more });
  cleanUps.push(() => source.close());
  return source;
}

async function take(source: Source, pictures: number): Promise<MediaTag[]> {
  const tags: MediaTag[] = [];
  await eventually(() => {
    for (let tag = source.shift(); tag !== undefined; tag = source.shift()) tags.push(tag);
    expect(media(tags, "video").length).toBeGreaterThanOrEqual(pictures);
  });
  return tags;
}

describe("openSrtSource", () => {
  it("copies a live source over one call and keeps its secrets out of arguments and environment", async () => {
    const server = await serve();
    const source = await open(`srt://media.example:${server.port}?${QUERY}`);
    expect(source.info).toMatchObject({ live: true, durationMs: null, width: 320, height: 180 });
    expect(source.info.plan).toEqual({ video: "copy", audio: "copy", reasons: [] });
    const running = await children();
    // The one process is the one with the SRT connection.
    expect(running).toHaveLength(1);
    expect(JSON.stringify(running)).not.toMatch(SECRETS);
    const tags = await take(source, 25);
    const video = media(tags, "video");
    expect(video[0]).toMatchObject({ keyframe: true });
    expect(video[0]?.dtsMs).toBeLessThan(100);
    expect(media(tags, "audio").length).toBeGreaterThan(20);
    // Only the guard resolved the host.
    expect(lookedUp).toEqual(["media.example"]);
  });

  it("encodes a source in codecs that rooms do not take", async () => {
    const server = await serve({ codecs: FOREIGN });
    const source = await open(`srt://127.0.0.1:${server.port}?${QUERY}`, { live: false });
    expect(source.info.plan).toMatchObject({ video: "transcode", audio: "transcode" });
    expect(source.info.plan.reasons).toContain("Mode is vod, but the source is live: it starts at its newest.");
    expect(media(await take(source, 10), "video").every(({ compositionMs }) => compositionMs === 0)).toBe(true);
  });

  it("continues the picture at once when the sound stops", async () => {
    const server = await serve({ codecs: `${COPYABLE} -af atrim=duration=3 -max_interleave_delta 200000` });
    const source = await open(`srt://127.0.0.1:${server.port}?${QUERY}`);
    expect(source.info.plan).toEqual({ video: "copy", audio: "copy", reasons: [] });
    const tags = await take(source, 1);
    await eventually(() => {
      for (let tag = source.shift(); tag !== undefined; tag = source.shift()) tags.push(tag);
      const [picture, sound] = [media(tags, "video").at(-1), media(tags, "audio").at(-1)];
      expect((picture?.dtsMs ?? 0) - (sound?.dtsMs ?? 0)).toBeGreaterThan(1500);
    });
  });

  it("encodes a source with B-frames without probing it twice", async () => {
    const server = await serve({ codecs: "-c:v libx264 -pix_fmt yuv420p -bf 2 -g 12 -c:a aac" });
    const source = await open(`srt://127.0.0.1:${server.port}?${QUERY}`);
    expect(source.info.plan).toMatchObject({ video: "transcode", audio: "copy" });
    expect(media(await take(source, 10), "video").every(({ compositionMs }) => compositionMs === 0)).toBe(true);
  });

  it("loses a source whose server stops, and plays it again when the server is back", async () => {
    const server = await serve();
    const url = `srt://127.0.0.1:${server.port}?${QUERY}`;
    const source = await open(url);
    await take(source, 5);
    await server.stop();
    const { end } = await readToEnd(source);
    if (end.name !== "failed") throw new Error("It has not failed.");
    expect(end.error.code).toBe("FailedOperation.SourceLost");
    expect(retryPolicyFor(end.error, { live: true, history: "brokeOff" })).toBe("wait");
    const away = await open(url).catch((thrown: unknown) => thrown);
    expect(away).toMatchObject({ code: "FailedOperation.SourceUnreachable" });
    await serve({ port: server.port });
    expect(media(await take(await open(url), 5), "video").length).toBeGreaterThanOrEqual(5);
  }, 60_000);

  it("fails without naming a secret when the passphrase is wrong", async () => {
    const server = await serve();
    const url = `srt://127.0.0.1:${server.port}?streamid=k3y&passphrase=s3cret-but-wrong`;
    const error = await open(url).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "FailedOperation.SourceUnreachable",
      message: expect.stringContaining("streamid and passphrase are correct"),
    });
    expect(JSON.stringify([String(error), error])).not.toMatch(SECRETS);
    expect(await childCommandLines()).toEqual([]);
  });

  it("refuses anything but MPEG-TS, so that no playlist leads to other addresses", async () => {
    const server = await serve({ codecs: `${COPYABLE} -f matroska` });
    await expect(open(`srt://127.0.0.1:${server.port}?${QUERY}`)).rejects.toMatchObject({
      code: "FailedOperation.SourceUnsupported",
    });
  });

  it.each(["srt://10.1.2.3:9000", "srt://forbidden.example:9000", "srt://[::1]:9000"])(
    "does not call an address that the guard forbids: %s",
    async (url) => {
      await expect(open(url)).rejects.toMatchObject({ code: "FailedOperation.SourceForbidden" });
    },
  );

  it("refuses SRT with the reason when ffmpeg has no SRT", async () => {
    const without = await SourceFactory.start({ tools, egress, capabilities: { srt: false, toneMapping: true } });
    cleanUps.push(() => without.close());
    const { signal } = new AbortController();
    const log = pino({ level: "silent" });
    const opening = without.open({ url: "srt://127.0.0.1:9", live: true, startAtMs: 0, signal, log });
    await expect(opening).rejects.toMatchObject({
      code: "FailedOperation.SourceUnsupported",
      message: expect.stringContaining("built without libsrt"),
    });
  });

  it("leaves no process running when it is cancelled during the call", async () => {
    const controller = new AbortController();
    const opening = open("srt://127.0.0.1:9", { signal: controller.signal });
    await eventually(async () => expect((await childCommandLines()).length).toBeGreaterThan(0));
    controller.abort(new Error("enough"));
    await expect(opening).rejects.toThrow("enough");
    expect(await childCommandLines()).toEqual([]);
  });
});
