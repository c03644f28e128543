import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { parseAddressPolicy } from "@roomcast/shared";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Egress } from "../../egress/egress.ts";
import { findMediaTools } from "../ffmpeg/media-tools.ts";
import type { Source } from "../source.ts";
import { MediaServer, media, readToEnd } from "../sources.test-support.ts";
import { SourceFactory } from "./open-source.ts";

const SEGMENTS = 12;
const SEGMENT_S = 0.5;
const WINDOW = 6;

/** A live HLS stream on loopback whose playlist grows by one segment with each request. */
class RollingPlaylist {
  /** The number of segments in the playlist when each segment was requested, by segment number. */
  readonly asked: { readonly segment: number; readonly newest: number }[] = [];
  /** The state of the playlist after its last segment. */
  readonly end: "complete" | "gone";
  readonly #segments: readonly Buffer[];
  readonly #server = http.createServer((request, response) => this.#answer(request.url ?? "", response));
  #newest = WINDOW - 1;

  private constructor(segments: readonly Buffer[], end: "complete" | "gone") {
    this.#segments = segments;
    this.end = end;
  }

  static async start(segments: readonly Buffer[], end: "complete" | "gone"): Promise<RollingPlaylist> {
    const playlist = new RollingPlaylist(segments, end);
    await once(playlist.#server.listen(0, "127.0.0.1"), "listening");
    return playlist;
  }

  get url(): string {
    // SAFETY: a server that listens on TCP has an AddressInfo.
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/live.m3u8?key=s3cret`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await once(this.#server.close(), "close");
  }

  #answer(url: string, response: http.ServerResponse): void {
    const segment = /^\/(\d+)\.ts$/.exec(url)?.[1];
    if (segment !== undefined) {
      this.asked.push({ segment: Number(segment), newest: this.#newest });
      response.end(this.#segments[Number(segment)]);
      return;
    }
    const last = this.#newest === this.#segments.length - 1;
    if (last && this.end === "gone") {
      response.writeHead(404).end();
      return;
    }
    const first = this.#newest - WINDOW + 1;
    const named = Array.from({ length: WINDOW }, (_, at) => `#EXTINF:${SEGMENT_S},\n${first + at}.ts`);
    const head = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", `#EXT-X-MEDIA-SEQUENCE:${first}`];
    response.setHeader("content-type", "application/vnd.apple.mpegurl");
    response.end([...head, ...named, ...(last ? ["#EXT-X-ENDLIST"] : []), ""].join("\n"));
    if (!last) this.#newest += 1;
  }
}

let server: MediaServer;
let egress: Egress;
let sources: SourceFactory;
let segments: Buffer[];
const cleanUps: (() => Promise<void>)[] = [];

beforeAll(async () => {
  const found = await findMediaTools();
  if (found.name === "missing") throw new Error(found.problems.map(({ message }) => message).join("\n"));
  server = await MediaServer.start();
  const seconds = SEGMENTS * SEGMENT_S;
  const inputs = `-f lavfi -i testsrc2=s=160x90:r=20:d=${seconds} -f lavfi -i sine=r=48000:d=${seconds}`;
  const codecs = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -bf 0 -g 10 -keyint_min 10 -sc_threshold 0 -c:a aac";
  const output = `-f hls -hls_time ${SEGMENT_S} -hls_list_size 0`;
  await server.make("all.m3u8", ...`${inputs} ${codecs} ${output}`.split(" "));
  segments = await Promise.all(Array.from({ length: SEGMENTS }, (_, n) => server.made(`all${n}.ts`)));
  egress = new Egress({ policy: parseAddressPolicy(["127.0.0.1"]) });
  sources = await SourceFactory.start({ tools: found.tools, egress, hlsPatienceMs: 8_000 });
});

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

afterAll(async () => {
  await sources.close();
  await egress.close();
  await server.stop();
});

async function open(end: "complete" | "gone", live: boolean): Promise<{ source: Source; playlist: RollingPlaylist }> {
  const playlist = await RollingPlaylist.start(segments, end);
  cleanUps.push(() => playlist.stop());
  const { signal } = new AbortController();
  const log = pino({ level: "silent" });
  const source = await sources.open({ url: playlist.url, live, startAtMs: 4000, signal, log });
  cleanUps.unshift(() => source.close());
  return { source, playlist };
}

describe("SourceFactory with a rolling HLS playlist", () => {
  it("plays a rolling playlist as live from near its end and finishes at its end tag", async () => {
    const { source, playlist } = await open("complete", true);
    expect(source.info).toMatchObject({ live: true, segmented: true, durationMs: null });
    expect(source.info.plan).toEqual({ video: "copy", audio: "copy", reasons: [] });
    const { tags, end } = await readToEnd(source);
    expect(end).toEqual({ name: "finished" });
    // The usual three segments from the end (RFC 8216, section 6.3.3).
    const behind = playlist.asked.map(({ segment, newest }) => newest - segment);
    expect(Math.max(...behind)).toBeLessThanOrEqual(4);
    const video = media(tags, "video");
    expect(video[0]?.keyframe).toBe(true);
    expect(video[0]?.dtsMs).toBeLessThan(100);
    const steps = video.slice(1).map((tag, at) => tag.dtsMs - (video[at]?.dtsMs ?? 0));
    expect(Math.max(...steps)).toBeLessThanOrEqual(51);
    expect(media(tags, "audio").length).toBeGreaterThan(100);
  });

  it("plays a rolling playlist as live with Mode vod and gives the reason", async () => {
    const { source } = await open("complete", false);
    expect(source.info).toMatchObject({ live: true, segmented: true });
    expect(source.info.plan.reasons).toEqual(["Mode is vod, but the source is live: it starts at its newest."]);
  });

  it("waits for a rolling playlist that disappears and then reports it as lost", async () => {
    const { source } = await open("gone", true);
    const { end } = await readToEnd(source);
    expect(end).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceLost" } });
  });
});
