import { RoomcastError } from "@roomcast/shared";
import { pino } from "pino";
import { beforeAll, describe, expect, it } from "vitest";
import type { FlvTag } from "../../media/flv/flv-writer.ts";
import { PLAIN_AAC, PLAIN_H264, sampleFlv } from "../../media/flv/sample-flv.test-support.ts";
import { randomFrom } from "../hls/random-from.test-support.ts";
import type { Source } from "../source.ts";
import { readToEnd } from "../sources.test-support.ts";
import { openFeedSource } from "./feed-source.ts";
import { ScriptedFeed } from "./scripted-feed.test-support.ts";

const SEEDS = 80;
/** The most that a feed may hold before its tracks are known, plus one tag. */
const MOST_BYTES = 36 * 1024 * 1024;
const HUGE_BYTES = 3 * 1024 * 1024;

/** Replaces the encoder, because this test does not cover encoded runs. */
async function noEncoder(): Promise<Source> {
  throw new RoomcastError("FailedOperation.SourceUnsupported", "There is no encoder here.");
}

type Step = (tags: FlvTag[]) => FlvTag[];

/** A stream with faults, with the places at which a jump of the clock is announced. */
function faulty(seed: number, clips: readonly (readonly FlvTag[])[]) {
  const random = randomFrom(seed * 7919 + 3);
  const below = (count: number) => Math.floor(random() * count);
  const clip = () => clips[below(clips.length)] ?? [];
  const at = (tags: readonly FlvTag[]) => below(tags.length + 1);
  const kind = () => (random() < 0.5 ? "audio" : "video");
  const steps: readonly Step[] = [
    (tags) => tags.filter((tag) => tag.kind !== kind()),
    (tags) => {
      const [late, from] = [kind(), at(tags)];
      return tags.filter((tag, number) => tag.kind !== late || number >= from);
    },
    (tags) => {
      const [from, byMs] = [at(tags), (random() - 0.5) * 2 ** below(34)];
      return tags.map((tag, number) => (number < from ? tag : { ...tag, timestampMs: tag.timestampMs + byMs }));
    },
    (tags) => tags.toSpliced(at(tags), 0, { kind: kind(), timestampMs: 0, payload: Buffer.alloc(0) }),
    (tags) => tags.toSpliced(at(tags), 0, { kind: kind(), timestampMs: below(9000), payload: noise(below(12)) }),
    (tags) => {
      const huge = Array.from({ length: below(20) }, (_none, number): FlvTag => {
        const payload = Buffer.concat([Buffer.from([0x27, 1, 0, 0, 0]), Buffer.alloc(HUGE_BYTES)]);
        return { kind: "video", timestampMs: number * 40, payload };
      });
      return tags.toSpliced(at(tags), 0, ...huge);
    },
    (tags) => tags.toSpliced(at(tags), 0, ...clip()),
    (tags) => tags.slice(at(tags)),
    (tags) => tags.toSpliced(at(tags), below(tags.length)),
    (tags) => tags.filter(() => random() < 0.9),
    (tags) =>
      tags.map((tag) =>
        random() < 0.98 ? tag : { ...tag, payload: tag.payload.subarray(0, below(tag.payload.length)) },
      ),
  ];
  const noise = (length: number) => Buffer.from(Array.from({ length }, () => below(256)));
  let tags = [...clip()];
  for (let count = 1 + below(5); count > 0; count -= 1) tags = steps[below(steps.length)]?.(tags) ?? tags;
  return { tags, jumpsAt: new Set(Array.from({ length: below(4) }, () => at(tags))), live: random() < 0.5 };
}

describe("openFeedSource", () => {
  let clips: FlvTag[][];

  beforeAll(async () => {
    const base = { seconds: 2, fps: 25, video: PLAIN_H264, audio: PLAIN_AAC };
    clips = await Promise.all([
      sampleFlv(base),
      sampleFlv({ ...base, video: ["-vf", "scale=640:360", ...PLAIN_H264] }),
      sampleFlv({ ...base, audio: [...PLAIN_AAC, "-ar", "44100", "-ac", "1"] }),
      sampleFlv({ ...base, audio: ["-c:a", "libmp3lame", "-ar", "44100"] }),
    ]);
  });

  it(`ends with typed errors only and bounded memory for ${SEEDS} random feeds`, async () => {
    const ends = new Set<string>();
    for (let seed = 0; seed < SEEDS; seed += 1) {
      try {
        ends.add(await play(seed));
      } catch (cause) {
        throw new Error(`Seed ${seed} failed.`, { cause });
      }
    }
    // Some of the feeds are good enough to be played.
    expect(ends).toContain("finished");
    expect(ends.size).toBeGreaterThan(1);
  });

  /** @returns the end of the feed of a seed */
  async function play(seed: number): Promise<string> {
    const { tags, jumpsAt, live } = faulty(seed, clips);
    const feed = new ScriptedFeed();
    const log = pino({ level: "silent" });
    const common = { feed, shown: "the source", container: "flv", plan: {}, readyTimeoutMs: 2000, log };
    const opening = openFeedSource({ ...common, live, transcodeFlv: noEncoder });
    const opened = opening.catch((error: unknown) => error);
    let given = 0;
    const taker = await feed.taker;
    for (const [at, tag] of tags.entries()) {
      // A feed that is held back or closed gives no more tags.
      if (feed.closed || feed.paused) break;
      if (jumpsAt.has(at)) for (const kind of ["audio", "video"] as const) taker.jump(kind);
      given += tag.payload.length;
      await feed.give(tag);
    }
    await feed.end();
    const source = await opened;
    if (source instanceof RoomcastError) return source.code;
    if (source instanceof Error) throw source;
    // SAFETY: what `openFeedSource` resolves with is a Source.
    const playing = source as Source;
    try {
      const read = await readToEnd(playing);
      const bytes = read.tags.reduce((sum, { payload }) => sum + payload.length, 0);
      expect(bytes).toBeLessThanOrEqual(Math.max(MOST_BYTES, given));
      for (const { dtsMs } of read.tags) expect(dtsMs).not.toBeNaN();
      if (read.end.name !== "failed") return read.end.name;
      expect(read.end.error).toBeInstanceOf(RoomcastError);
      return read.end.error.code;
    } finally {
      await playing.close();
    }
  }
});
