import { RoomcastError } from "@roomcast/shared";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../../base/eventually.test-support.ts";
import type { FedTag } from "../feed/fed-tag.ts";
import type { SourceEnd } from "../source.ts";
import { MediaServer } from "../sources.test-support.ts";
import { HlsFeed, type HlsFeedOptions } from "./hls-feed.ts";
import type { HlsSegment, HlsTrack } from "./hls-segment.ts";
import { silent } from "./hls-server.test-support.ts";

const SEGMENT_S = 4;
const SEGMENTS = 4;
const FPS = 5;
const FRAMES = FPS * SEGMENT_S * SEGMENTS;

let maker: MediaServer;
let pictures: Buffer[];
let sounds: Buffer[];
const feeds: HlsFeed[] = [];

beforeAll(async () => {
  maker = await MediaServer.start();
  const seconds = SEGMENT_S * SEGMENTS;
  const input = `-f lavfi -i testsrc2=s=160x90:r=${FPS}:d=${seconds} -f lavfi -i sine=r=48000:d=${seconds}`;
  const video = `-c:v libx264 -preset ultrafast -pix_fmt yuv420p -bf 0 -g ${FPS * SEGMENT_S} -sc_threshold 0`;
  const segments = async (name: string, tracks: string) => {
    const list = `-f hls -hls_time ${SEGMENT_S} -hls_list_size 0 -hls_playlist_type vod`;
    await maker.make(`${name}.m3u8`, ...`${input} ${tracks} ${list}`.split(" "));
    return await Promise.all(Array.from({ length: SEGMENTS }, (_, n) => maker.made(`${name}${n}.ts`)));
  };
  pictures = await segments("picture", `-map 0:v ${video}`);
  sounds = await segments("sound", "-map 1:a -c:a aac");
}, 60_000);

afterEach(async () => {
  await Promise.all(feeds.splice(0).map((opened) => opened.close()));
});

afterAll(async () => {
  await maker.stop();
});

/** The segments of one track. A function is called when its segment is read. */
type Parts = readonly (Partial<HlsSegment> & { readonly bytes: Buffer | (() => Promise<Buffer>) })[];

async function* segmentsOf(track: HlsTrack, parts: Parts): AsyncGenerator<HlsSegment, void, undefined> {
  for (const [at, { bytes, ...more }] of parts.entries()) {
    const body = typeof bytes === "function" ? await bytes() : bytes;
    const startMs = at * SEGMENT_S * 1000;
    yield {
      track,
      sequence: at,
      startMs,
      durationMs: SEGMENT_S * 1000,
      discontinuity: at === 0,
      programDateTimeMs: null,
      init: null,
      url: `http://server/${at}.ts`,
      range: null,
      open: async function* () {
        yield body;
      },
      ...more,
    };
  }
}

interface Fed {
  readonly tags: FedTag[];
  end: SourceEnd | undefined;
}

function feed(tracks: Partial<Record<HlsTrack, Parts>>, more: Partial<HlsFeedOptions> = {}): Fed {
  const names: HlsTrack[] = tracks.audio === undefined ? ["main"] : ["main", "audio"];
  const segments = (track: HlsTrack) => segmentsOf(track, tracks[track] ?? []);
  const presentation = { live: false, tracks: names, segments };
  const made = new HlsFeed({ presentation, fromMs: 0, onForeign: () => {}, log: silent, ...more });
  feeds.push(made);
  const fed: Fed = { tags: [], end: undefined };
  const ignore = () => {};
  void made.start({
    announce: ignore,
    jump: ignore,
    take: (tag) => void fed.tags.push(tag),
    end: (end) => {
      fed.end = end;
    },
  });
  return fed;
}

const media = ({ tags }: Fed, kind: "audio" | "video") =>
  tags.filter((tag) => tag.kind === kind && !tag.sequenceHeader);
const whole = (files: readonly Buffer[]): Parts => files.map((bytes) => ({ bytes }));
const ended = async (fed: Fed) => {
  await eventually(() => expect(fed.end).toBeDefined());
  return fed;
};

describe("HlsFeed", () => {
  it.each([
    ["between packets", 188 * 100],
    ["within a packet", 188 * 100 + 77],
  ])("loses no picture when a file is cut into byte ranges %s", async (_where, cutAt) => {
    const file = Buffer.concat(pictures);
    const expected = media(await ended(feed({ main: [{ bytes: file }] })), "video");
    expect(expected).toHaveLength(FRAMES);
    const url = "http://server/all.ts";
    const cuts = [0, cutAt, 2 * cutAt, file.length].map((end, at, ends) => ({ start: ends[at - 1] ?? 0, end }));
    const parts = cuts.slice(1).map(({ start, end }) => {
      const startMs = (start / file.length) * SEGMENTS * SEGMENT_S * 1000;
      return { bytes: file.subarray(start, end), url, startMs, range: { start, end: end - 1 } };
    });
    const got = media(await ended(feed({ main: parts })), "video");
    expect(got.map(({ payload }) => payload)).toEqual(expected.map(({ payload }) => payload));
  });

  it("continues without sound when the audio playlist fails", async () => {
    const gone = () => Promise.reject(new RoomcastError("FailedOperation.SourceLost", "Segment 1 could not be read."));
    const [first = Buffer.alloc(0)] = sounds;
    const fed = await ended(feed({ main: whole(pictures), audio: [{ bytes: first }, { bytes: gone }] }));
    expect(fed.end).toEqual({ name: "finished" });
    expect(media(fed, "video")).toHaveLength(FRAMES);
    expect(Math.max(...media(fed, "audio").map(({ dtsMs }) => dtsMs))).toBeLessThan(SEGMENT_S * 1000 + 100);
  });

  it("fails when the video playlist fails", async () => {
    const gone = () => Promise.reject(new RoomcastError("FailedOperation.SourceLost", "Segment 1 could not be read."));
    const [first = Buffer.alloc(0)] = pictures;
    const fed = await ended(feed({ main: [{ bytes: first }, { bytes: gone }], audio: whole(sounds) }));
    expect(fed.end).toMatchObject({ name: "failed", error: { code: "FailedOperation.SourceLost" } });
  });

  it("continues without late audio and plays it again when it has caught up", async () => {
    const sound = Promise.withResolvers<void>();
    const picture = Promise.withResolvers<void>();
    const after = (wait: Promise<void>, bytes: Buffer | undefined) => async () => {
      await wait;
      return bytes ?? Buffer.alloc(0);
    };
    const [sound0 = Buffer.alloc(0), sound1, sound2 = Buffer.alloc(0), sound3 = Buffer.alloc(0)] = sounds;
    let read = false;
    const last = async () => {
      read = true;
      return sound3;
    };
    const fed = feed(
      {
        main: [...whole(pictures.slice(0, 3)), { bytes: after(picture.promise, pictures[3]) }],
        audio: [{ bytes: sound0 }, { bytes: after(sound.promise, sound1) }, { bytes: sound2 }, { bytes: last }],
      },
      { longestWaitForSoundMs: 20 },
    );
    const shown = () => Math.max(0, ...media(fed, "video").map(({ dtsMs }) => dtsMs));
    await eventually(() => expect(shown()).toBeGreaterThan(11_700));
    sound.resolve();
    await eventually(() => expect(read).toBe(true));
    picture.resolve();
    await ended(fed);
    expect(fed.end).toEqual({ name: "finished" });
    expect(media(fed, "video")).toHaveLength(FRAMES);
    const heard = media(fed, "audio").map(({ dtsMs }) => dtsMs);
    expect(heard.filter((dtsMs) => dtsMs > 12_200).length).toBeGreaterThan(100);
    expect(heard).toEqual(heard.toSorted((a, b) => a - b));
  });
});
