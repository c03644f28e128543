import { describe, expect, it } from "vitest";
import { ChunkReader, type ChunkReaderLimits } from "./chunk-reader.ts";
import type { RtmpMessage } from "./message.ts";
import { RtmpProtocolError } from "./rtmp-protocol-error.ts";

const bytes = (hex: string) => Buffer.from(hex.replaceAll(" ", ""), "hex");
const ext = "00ffffff";

interface Seen {
  chunkStreamId: number;
  typeId: number;
  streamId: number;
  timestampMs: number;
  payload: string;
}

function read(pieces: Iterable<Buffer>, limits?: Partial<ChunkReaderLimits>): Seen[] {
  const seen: Seen[] = [];
  const note = ({ payload, ...rest }: RtmpMessage) => seen.push({ ...rest, payload: payload.toString("hex") });
  const reader = new ChunkReader(note, limits);
  for (const piece of pieces) reader.push(piece);
  return seen;
}

/** A message of one byte on a separate chunk stream. */
const opening = (id: number) => Buffer.concat([Buffer.of(id), bytes("000000 000001 08 01000000 11")]);

const streams = (count: number) => Array.from({ length: count }, (_, index) => opening(index + 2));

/** Half of a message of 256 bytes. */
const begun = (id: number) => Buffer.concat([Buffer.of(id), bytes("000000 000100 08 01000000"), Buffer.alloc(128)]);

const audio = (timestampMs: number, payload: string): Seen => ({
  chunkStreamId: 4,
  typeId: 8,
  streamId: 1,
  timestampMs,
  payload,
});

const GOLDEN: [string, string, Seen[]][] = [
  ["a type 0 chunk", "04 0003e8 000002 08 01000000 af01", [audio(1000, "af01")]],
  [
    "types 1, 2 and 3 that begin messages",
    "04 0003e8 000002 08 01000000 af01  44 000017 000001 08 aa  84 000010 bb  c4 cc",
    [audio(1000, "af01"), audio(1023, "aa"), audio(1039, "bb"), audio(1055, "cc")],
  ],
  [
    "a type 3 message after type 0, by whose timestamp it steps",
    "04 0003e8 000001 08 01000000 aa c4 bb",
    [audio(1000, "aa"), audio(2000, "bb")],
  ],
  [
    "a message in three chunks",
    `04 000000 000101 08 01000000 ${"11".repeat(128)} c4 ${"22".repeat(128)} c4 33`,
    [audio(0, "11".repeat(128) + "22".repeat(128) + "33")],
  ],
  [
    "two chunk streams whose chunks alternate",
    `04 000000 000081 08 01000000 ${"11".repeat(128)} 06 000005 000082 09 01000000 ${"22".repeat(128)} c4 33 c6 4444`,
    [
      audio(0, "11".repeat(128) + "33"),
      { chunkStreamId: 6, typeId: 9, streamId: 1, timestampMs: 5, payload: "22".repeat(128) + "4444" },
    ],
  ],
  [
    "a new chunk size from the next chunk on",
    `02 000000 000004 01 00000000 00000003 04 000000 000005 08 01000000 112233 c4 4455`,
    [{ chunkStreamId: 2, typeId: 1, streamId: 0, timestampMs: 0, payload: "00000003" }, audio(0, "1122334455")],
  ],
  [
    "an abort, which drops what was begun",
    `04 000000 000081 08 01000000 ${"11".repeat(128)} 02 000000 000004 02 00000000 00000004 04 000009 000001 08 01000000 77`,
    [{ chunkStreamId: 2, typeId: 2, streamId: 0, timestampMs: 0, payload: "00000004" }, audio(9, "77")],
  ],
  [
    "an extended timestamp, repeated on each type 3 chunk",
    `04 ffffff 000081 08 01000000 ${ext} ${"11".repeat(128)} c4 ${ext} 22`,
    [audio(0xffffff, "11".repeat(128) + "22")],
  ],
  [
    "an extended delta",
    `04 000000 000001 08 01000000 11 44 ffffff 000001 08 01000000 22`,
    [audio(0, "11"), audio(0x1000000, "22")],
  ],
  [
    "an extended timestamp that the sender does not repeat",
    `04 ffffff 000182 08 01000000 ${ext} ${"11".repeat(128)} c4 ${"22".repeat(128)} c4 ${"33".repeat(128)} c4 4444`,
    [audio(0xffffff, "11".repeat(128) + "22".repeat(128) + "33".repeat(128) + "4444")],
  ],
  [
    "an extended timestamp that is not repeated, before payload that begins like it",
    `04 ffffff 000082 08 01000000 ${ext} ${"11".repeat(128)} c4 00ff 04 000005 000001 08 01000000 55`,
    [audio(0xffffff, "11".repeat(128) + "00ff"), audio(5, "55")],
  ],
  [
    "payload that looks like the timestamp once its sender is known not to repeat it",
    `04 ffffff 000104 08 01000000 ${ext} ${"11".repeat(128)} c4 ${"22".repeat(128)} c4 ${ext}`,
    [audio(0xffffff, "11".repeat(128) + "22".repeat(128) + ext)],
  ],
  [
    "an extended delta, repeated as it is or as the message's time, or not repeated",
    [
      `04 000010 000001 08 01000000 11 44 ffffff 000081 08 01000000 ${"22".repeat(128)} c4 01000000 33`,
      `05 000010 000001 08 01000000 11 45 ffffff 000081 08 01000000 ${"22".repeat(128)} c5 01000010 33`,
      `06 000010 000001 08 01000000 11 46 ffffff 000081 08 01000000 ${"22".repeat(128)} c6 33`,
    ].join(" "),
    [4, 5, 6].flatMap((chunkStreamId) => [
      { ...audio(0x10, "11"), chunkStreamId },
      { ...audio(0x1000010, "22".repeat(128) + "33"), chunkStreamId },
    ]),
  ],
  [
    "an extended delta in a type 2 chunk, and a type 3 message that goes as far again",
    "04 000000 000001 08 01000000 11 84 ffffff 01000000 22 c4 01000000 33 c4 01000000 44",
    [audio(0, "11"), audio(0x1000000, "22"), audio(0x2000000, "33"), audio(0x3000000, "44")],
  ],
  [
    "type 3 messages at the extended time of the type 0 chunk before, repeated or not",
    `04 ffffff 000001 08 01000000 ${ext} 11 c4 ${ext} 22 05 ffffff 000001 08 01000000 ${ext} 11 c5 22 c5 33`,
    [
      audio(0xffffff, "11"),
      audio(0xffffff, "22"),
      ...["11", "22", "33"].map((payload) => ({ ...audio(0xffffff, payload), chunkStreamId: 5 })),
    ],
  ],
  [
    "timestamps that wrap at 2^32",
    `04 ffffff 000001 08 01000000 fffffff0 11 44 000020 000001 08 22`,
    [audio(0xfffffff0, "11"), audio(0x10, "22")],
  ],
  [
    "chunk stream ids of two and three bytes",
    `00 00 000000 000001 08 01000000 11  01 00 01 000000 000001 08 01000000 22  c0 00 33`,
    [
      { ...audio(0, "11"), chunkStreamId: 64 },
      { ...audio(0, "22"), chunkStreamId: 320 },
      { ...audio(0, "33"), chunkStreamId: 64 },
    ],
  ],
  ["an empty message", "04 000000 000000 08 01000000 c4", [audio(0, ""), audio(0, "")]],
];

describe("ChunkReader", () => {
  it.each(GOLDEN)("reads %s", (_what, hex, expected) => {
    expect(read([bytes(hex)])).toEqual(expected);
  });

  it.each(GOLDEN)("reads %s the same split at any byte, and byte by byte", (_what, hex, expected) => {
    const all = bytes(hex);
    for (let at = 1; at < all.length; at += 1) expect(read([all.subarray(0, at), all.subarray(at)])).toEqual(expected);
    expect(read(Array.from(all, (byte) => Buffer.of(byte)))).toEqual(expected);
  });

  it("does not copy a message that came in one piece", () => {
    const input = bytes("04 000000 000002 08 01000000 af01");
    let payload: Buffer | undefined;
    new ChunkReader((message) => {
      payload = message.payload;
    }).push(input);
    input[input.length - 1] = 0x77;
    expect(payload?.toString("hex")).toBe("af77");
  });

  it.each([
    ["a message longer than the limit", "04 000000 ffffff 08 01000000"],
    ["a chunk stream that starts with type 2", "84 000010 bb"],
    ["a chunk stream that starts with type 3", "c4 bb"],
    ["a chunk size of 0", "02 000000 000004 01 00000000 00000000"],
    ["a chunk size over 31 bits", "02 000000 000004 01 00000000 80000000"],
    ["a Set Chunk Size that is cut short", "02 000000 000002 01 00000000 0001"],
    [
      "a message inside another of its chunk stream",
      `04 000000 000081 08 01000000 ${"11".repeat(128)} 04 000000 000001 08 01000000 11`,
    ],
  ])("rejects %s with the typed error", (_what, hex) => {
    expect(() => read([bytes(hex)])).toThrow(RtmpProtocolError);
  });

  it("rejects more chunk streams than the limit", () => {
    expect(read(streams(4), { maxChunkStreams: 4 })).toHaveLength(4);
    expect(() => read(streams(5), { maxChunkStreams: 4 })).toThrow(RtmpProtocolError);
  });

  it("rejects more unfinished bytes than one message may have", () => {
    expect(read([begun(4)], { maxMessageBytes: 256 })).toEqual([]);
    expect(() => read([begun(4), begun(5), begun(6)], { maxMessageBytes: 256 })).toThrow(RtmpProtocolError);
  });

  it("returns messages or the typed error, and nothing else, for a thousand random inputs", () => {
    let state = 1;
    const next = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state >>> 24;
    };
    const thrown: unknown[] = [];
    for (let round = 0; round < 1000; round += 1) {
      const input = Buffer.from(Array.from({ length: 200 }, next));
      // Half of the inputs start with valid chunks, so that more than the first header is reached.
      const pieces = round % 2 === 0 ? [input] : [bytes("04 000000 000081 08 01000000"), input];
      try {
        read(pieces);
      } catch (error) {
        thrown.push(error);
      }
    }
    expect(thrown.length).toBeGreaterThan(500);
    expect(thrown.filter((error) => !(error instanceof RtmpProtocolError))).toEqual([]);
  });
});
