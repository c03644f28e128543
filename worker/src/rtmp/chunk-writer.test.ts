import { describe, expect, it } from "vitest";
import { ChunkReader } from "./chunk-reader.ts";
import { ChunkWriter } from "./chunk-writer.ts";
import type { RtmpMessage } from "./message.ts";

const audio = (timestampMs: number, payload: Buffer): RtmpMessage => ({
  chunkStreamId: 4,
  typeId: 8,
  streamId: 1,
  timestampMs,
  payload,
});

function write(messages: readonly RtmpMessage[], chunkBytes?: number): Buffer[] {
  const slices: Buffer[] = [];
  const writer = new ChunkWriter((slice) => slices.push(slice));
  if (chunkBytes !== undefined) writer.setChunkSize(chunkBytes);
  for (const message of messages) writer.write(message);
  return slices;
}

const hex = (slices: readonly Buffer[]) => Buffer.concat(slices).toString("hex");
const plain = (text: string) => text.replaceAll(" ", "");

describe("ChunkWriter", () => {
  it("starts a chunk stream with type 0 and continues with time deltas in type 1", () => {
    const messages = [audio(1000, Buffer.from("af01", "hex")), audio(1023, Buffer.from("af", "hex"))];
    expect(hex(write(messages))).toBe(plain("04 0003e8 000002 08 01000000 af01 44 000017 000001 08 af"));
  });

  it("writes a message of several chunks in one piece and does not modify the payload", () => {
    const payload = Buffer.alloc(300, 0x55);
    const pieces = write([audio(0, payload)]);
    const part = (bytes: number) => "55".repeat(bytes);
    expect(pieces).toHaveLength(1);
    expect(hex(pieces)).toBe(plain(`04 000000 00012c 08 01000000 ${part(128)} c4 ${part(128)} c4 ${part(44)}`));
    expect(payload).toEqual(Buffer.alloc(300, 0x55));
  });

  it("writes no empty chunk after a payload that fills its chunks", () => {
    expect(write([audio(0, Buffer.alloc(256))]).map((piece) => piece.length)).toEqual([12 + 256 + 1]);
  });

  it("announces a new chunk size before it uses it", () => {
    const pieces = write([audio(0, Buffer.alloc(60_000))], 60_000);
    expect(hex(pieces.slice(0, 1))).toBe(plain("02 000000 000004 01 00000000 0000ea60"));
    expect(pieces.slice(1).map((piece) => piece.length)).toEqual([12 + 60_000]);
  });

  it("repeats an extended timestamp on every chunk of a message that begins past 16,777,215 ms", () => {
    const ext = "01000000";
    expect(hex(write([audio(0x1000000, Buffer.alloc(130, 0x11))]))).toBe(
      plain(`04 ffffff 000082 08 01000000 ${ext} ${"11".repeat(128)} c4 ${ext} 1111`),
    );
  });

  it("needs no extended timestamp when a session crosses 16,777,215 ms", () => {
    const messages = [audio(0xfffff0, Buffer.of(1)), audio(0x1000010, Buffer.of(2))];
    expect(hex(write(messages))).toBe(plain("04 fffff0 000001 08 01000000 01 44 000020 000001 08 02"));
  });

  it("extends a delta that needs it", () => {
    const messages = [audio(0, Buffer.of(1)), audio(0xffffff, Buffer.of(2))];
    expect(hex(write(messages))).toBe(plain("04 000000 000001 08 01000000 01 44 ffffff 000001 08 00ffffff 02"));
  });

  it("writes type 0 again when time goes back or the message stream changes", () => {
    const messages = [audio(10, Buffer.of(1)), audio(5, Buffer.of(2)), { ...audio(6, Buffer.of(3)), streamId: 2 }];
    expect(hex(write(messages))).toBe(
      plain("04 00000a 000001 08 01000000 01 04 000005 000001 08 01000000 02 04 000006 000001 08 02000000 03"),
    );
  });

  it("writes nothing after the header of an empty message", () => {
    expect(hex(write([audio(0, Buffer.alloc(0))]))).toBe(plain("04 000000 000000 08 01000000"));
  });

  it("writes chunks that are read back unchanged, even with timestamps past 2^31 and 2^32", () => {
    const times = [
      0, 40, 0xfffffe, 0xffffff, 0x1000000, 0x7fffffff, 0x80000001, 0xfffffff0, 0x1_0000_0010, 0x1_0000_0000,
    ];
    const messages = times.map((time, index) => audio(time, Buffer.alloc(index * 70, index)));
    const read: RtmpMessage[] = [];
    const reader = new ChunkReader((message) => read.push(message));
    for (const slice of write(messages)) reader.push(slice);
    expect(read).toEqual(messages.map((message) => ({ ...message, timestampMs: message.timestampMs % 2 ** 32 })));
  });

  it("rejects a chunk stream id that it cannot write", () => {
    expect(() => write([{ ...audio(0, Buffer.of(1)), chunkStreamId: 64 }])).toThrow(RangeError);
    expect(() => write([{ ...audio(0, Buffer.of(1)), chunkStreamId: 1 }])).toThrow(RangeError);
  });
});
