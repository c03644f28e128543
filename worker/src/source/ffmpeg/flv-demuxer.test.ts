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

function thrownBy(work: () => unknown): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
}
