import { describe, expect, it } from "vitest";
import type { MediaTag } from "../media-tag.ts";
import { FlvDemuxer, FlvError } from "./flv-demuxer.ts";

const HEADER = Buffer.from([0x46, 0x4c, 0x56, 1, 5, 0, 0, 0, 9]);

function tag(type: number, timestampMs: number, body: Buffer): Buffer {
  const header = Buffer.alloc(15);
  header.writeUInt8(type, 4);
  header.writeUIntBE(body.length, 5, 3);
  header.writeUIntBE(timestampMs & 0xffffff, 8, 3);
  header.writeUInt8((timestampMs >>> 24) & 0xff, 11);
  return Buffer.concat([header, body]);
}

const VIDEO_HEADER = Buffer.from([0x17, 0, 0, 0, 0, 1, 100, 0, 31]);
const KEYFRAME = Buffer.from([0x17, 1, 0, 0, 40, 9, 9, 9, 9]);
const AUDIO_HEADER = Buffer.from([0xaf, 0, 0x11, 0x90]);
const AUDIO = Buffer.from([0xaf, 1, 7, 7, 7]);

const STREAM = Buffer.concat([
  HEADER,
  tag(18, 0, Buffer.from("onMetaData")),
  tag(9, 0, VIDEO_HEADER),
  tag(8, 0, AUDIO_HEADER),
  tag(9, 0, Buffer.alloc(0)),
  tag(9, 0x01000028, KEYFRAME),
  tag(8, -5, AUDIO),
  tag(8, 10, Buffer.from([0x2f, 0xff, 0xfb, 0])),
  Buffer.alloc(4),
]);

function demux(chunks: readonly Buffer[]): { tags: MediaTag[]; demuxer: FlvDemuxer } {
  const tags: MediaTag[] = [];
  const demuxer = new FlvDemuxer({ onTag: (one) => tags.push(one) });
  for (const chunk of chunks) demuxer.push(chunk);
  return { tags, demuxer };
}

const EXPECTED = [
  { kind: "video", dtsMs: 0, compositionMs: 0, keyframe: false, sequenceHeader: true, payload: VIDEO_HEADER },
  { kind: "audio", dtsMs: 0, compositionMs: 0, keyframe: true, sequenceHeader: true, payload: AUDIO_HEADER },
  { kind: "video", dtsMs: 0x01000028, compositionMs: 40, keyframe: true, sequenceHeader: false, payload: KEYFRAME },
  { kind: "audio", dtsMs: -5, compositionMs: 0, keyframe: true, sequenceHeader: false, payload: AUDIO },
];

describe("an FLV stream", () => {
  it("gives its H.264 and AAC tags, extended and negative timestamps included", () => {
    expect(demux([STREAM]).tags).toEqual(EXPECTED);
  });

  it("gives the same wherever it is cut in two", () => {
    for (let at = 0; at <= STREAM.length; at += 1) {
      expect(demux([STREAM.subarray(0, at), STREAM.subarray(at)]).tags).toEqual(EXPECTED);
    }
  });

  it("gives the same byte by byte", () => {
    expect(demux([...STREAM].map((byte) => Buffer.from([byte]))).tags).toEqual(EXPECTED);
  });

  it("gives payloads that are slices of what came in", () => {
    const payload = demux([STREAM]).tags[2]?.payload;
    expect(payload?.buffer).toBe(STREAM.buffer);
  });

  it("may carry a longer header", () => {
    const long = Buffer.concat([HEADER.subarray(0, 8), Buffer.from([12, 0, 0, 0]), STREAM.subarray(9)]);
    expect(demux([long]).tags).toEqual(EXPECTED);
  });

  it("is at a boundary only between tags", () => {
    expect(demux([STREAM.subarray(0, HEADER.length)]).demuxer.atBoundary).toBe(true);
    expect(demux([STREAM.subarray(0, HEADER.length + 20)]).demuxer.atBoundary).toBe(false);
  });
});

describe("what is no FLV stream", () => {
  it.each<[string, Buffer, string]>([
    ["another format", Buffer.from("<html><body>no</body></html>"), "does not begin with FLV"],
    ["a header of no size", Buffer.concat([HEADER.subarray(0, 5), Buffer.alloc(4)]), "length of 0"],
    ["a header without end", Buffer.concat([HEADER.subarray(0, 5), Buffer.alloc(4, 0xff)]), "length of 4294967295"],
    ["an unknown type of tag", Buffer.concat([HEADER, tag(99, 0, AUDIO)]), "type 99"],
    ["an encrypted tag", Buffer.concat([HEADER, tag(0x28, 0, AUDIO)]), "type 40"],
    [
      "a tag that is too large",
      Buffer.concat([HEADER, Buffer.alloc(4), Buffer.from([9, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0])]),
      "16777215 bytes",
    ],
  ])("%s is a typed error", (_name, bytes, message) => {
    expect(() => demux([bytes])).toThrow(FlvError);
    expect(() => demux([bytes])).toThrow(message);
  });

  it("never throws anything else, whatever byte is wrong", () => {
    for (let at = 0; at < STREAM.length; at += 1) {
      for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
        const broken = Buffer.from(STREAM);
        broken.writeUInt8(value, at);
        expect(thrownBy(() => demux([broken]))).toSatisfy((error) => error === undefined || error instanceof FlvError);
      }
    }
  });
});

/** Mulberry32: the same numbers for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe("whatever comes, in whatever pieces", () => {
  it("a stream that is cut, repeated, and overwritten gives tags or the typed error", () => {
    let errors = 0;
    for (let seed = 1; seed <= 3000; seed += 1) {
      const random = randomFrom(seed);
      const bytes = Buffer.concat([STREAM, STREAM.subarray(Math.floor(random() * STREAM.length))]);
      const broken = bytes.subarray(0, Math.floor(random() * bytes.length) + 1);
      for (let wrong = random() * 4; wrong > 1; wrong -= 1) {
        broken.writeUInt8(Math.floor(random() * 256), Math.floor(random() * broken.length));
      }
      const pieces: Buffer[] = [];
      for (let at = 0; at < broken.length; ) {
        const length = 1 + Math.floor(random() * 40);
        pieces.push(broken.subarray(at, at + length));
        at += length;
      }
      const error = thrownBy(() => demux(pieces));
      if (error !== undefined) errors += 1;
      expect(error === undefined || error instanceof FlvError, `seed ${seed}: ${String(error)}`).toBe(true);
    }
    expect(errors).toBeGreaterThan(300);
    expect(errors).toBeLessThan(2900);
  });

  it("a length that nothing backs costs no memory", () => {
    const demuxer = new FlvDemuxer({ onTag: () => {} });
    const largest = Buffer.from([9, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    demuxer.push(Buffer.concat([HEADER, Buffer.alloc(4), largest, Buffer.alloc(10)]));
    expect(demuxer.retainedBytes).toBe(64 * 1024);
  });

  it("no more is held than twice what has come, and nothing after it is whole", () => {
    const body = Buffer.alloc(5 * 1024 * 1024, 1);
    VIDEO_HEADER.copy(body);
    const stream = Buffer.concat([HEADER, tag(9, 7, body)]);
    const tags: MediaTag[] = [];
    const demuxer = new FlvDemuxer({ onTag: (one) => tags.push(one) });
    for (let at = 0; at < stream.length; at += 60_000) {
      demuxer.push(stream.subarray(at, at + 60_000));
      expect(demuxer.retainedBytes).toBeLessThanOrEqual(Math.max(64 * 1024, (at + 60_000) * 2));
    }
    expect(tags.map(({ payload }) => payload.equals(body))).toEqual([true]);
    expect(demuxer.retainedBytes).toBe(0);
  });
});

function thrownBy(work: () => unknown): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
}
