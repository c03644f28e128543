import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../../base/eventually.test-support.ts";
import type { FedTag } from "../feed/fed-tag.ts";
import type { TagTaker } from "../feed/tag-feed.ts";
import type { SourceEnd } from "../source.ts";
import { MediaServer } from "../sources.test-support.ts";
import { HlsFeed } from "./hls-feed.ts";
import type { HlsSegment } from "./hls-segment.ts";

let maker: MediaServer;
let bytes: Buffer;

beforeAll(async () => {
  maker = await MediaServer.start();
  const input = "-f lavfi -i testsrc2=s=160x90:r=25:d=2 -f lavfi -i sine=r=48000:d=2";
  const codecs = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -bf 0 -g 25 -c:a aac -f mpegts";
  bytes = await maker.make("clip.ts", ...`${input} ${codecs}`.split(" "));
});

afterAll(() => maker.stop());

/** A presentation that repeats the same two seconds, and counts the requested segments. */
class Presentation {
  readonly live = false;
  readonly tracks = ["main"] as const;
  asked = 0;
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  async *segments(): AsyncGenerator<HlsSegment, void, undefined> {
    for (let sequence = 0; sequence < this.#count; sequence += 1) {
      this.asked += 1;
      yield await Promise.resolve(segmentOf(sequence));
    }
  }
}

function segmentOf(sequence: number): HlsSegment {
  return {
    track: "main",
    sequence,
    startMs: sequence * 2000,
    durationMs: 2000,
    discontinuity: true,
    programDateTimeMs: null,
    init: null,
    url: `segment ${sequence}`,
    range: null,
    async *open() {
      yield await Promise.resolve(bytes);
    },
  };
}

class Taker implements TagTaker {
  readonly tags: FedTag[] = [];
  ended: SourceEnd | undefined;
  onTag: (() => void) | undefined;

  announce(): void {}

  jump(): void {}

  take(tag: FedTag): void {
    this.tags.push(tag);
    this.onTag?.();
  }

  end(end: SourceEnd): void {
    this.ended = end;
  }
}

function newFeed(presentation: Presentation): HlsFeed {
  const log = pino({ level: "silent" });
  return new HlsFeed({ presentation, fromMs: 0, onForeign: () => {}, log });
}

describe("HlsFeed when its taker pauses", () => {
  it("requests the next segment but gives none of its tags", async () => {
    const presentation = new Presentation(3);
    const taker = new Taker();
    const feed = newFeed(presentation);
    taker.onTag = () => feed.pause();
    await feed.start(taker);
    await eventually(() => expect(presentation.asked).toBe(2));
    const pictures = () => taker.tags.filter(({ kind, sequenceHeader }) => kind === "video" && !sequenceHeader);
    expect(pictures()).toHaveLength(50);
    taker.onTag = undefined;
    feed.resume();
    await eventually(() => expect(taker.ended).toEqual({ name: "finished" }));
    expect(pictures()).toHaveLength(150);
    await feed.close();
  });

  it("gives no more tags after it is closed", async () => {
    const presentation = new Presentation(3);
    const taker = new Taker();
    const feed = newFeed(presentation);
    taker.onTag = () => feed.pause();
    await feed.start(taker);
    await eventually(() => expect(presentation.asked).toBe(2));
    const before = taker.tags.length;
    await feed.close();
    expect(taker.tags).toHaveLength(before);
    expect(taker.ended).toBeUndefined();
  });
});
