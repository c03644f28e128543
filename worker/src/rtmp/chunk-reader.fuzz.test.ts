import { describe, expect, it } from "vitest";
import { ChunkReader } from "./chunk-reader.ts";
import { ChunkWriter } from "./chunk-writer.ts";
import { MESSAGE, type RtmpMessage } from "./message.ts";
import { RtmpProtocolError } from "./rtmp-protocol-error.ts";

/** Mulberry32, which returns the same numbers for the same seed. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const MAX_MESSAGE_BYTES = 4096;
/** Buffers double, and start with 4096 bytes in each of at most 64 chunk streams. */
const MOST_RETAINED = 2 * MAX_MESSAGE_BYTES + 64 * 4096;

/** A valid session: audio and video of many sizes, some with an extended timestamp. */
function session(random: (below: number) => number): Buffer {
  const slices: Buffer[] = [];
  const writer = new ChunkWriter((slice) => slices.push(slice));
  for (let count = 0; count < 12; count += 1) {
    const audio = random(2) === 0;
    writer.write({
      chunkStreamId: audio ? 4 : 6,
      typeId: audio ? MESSAGE.audio : MESSAGE.video,
      streamId: 1,
      timestampMs: random(4) === 0 ? 0xffffff + random(1000) : count * 20,
      payload: Buffer.alloc(1 + random(900), count),
    });
  }
  return Buffer.concat(slices);
}

function feed(
  input: Buffer,
  pieceLength: () => number,
): { messages: RtmpMessage[]; error: unknown; mostRetained: number } {
  const messages: RtmpMessage[] = [];
  const reader = new ChunkReader((message) => messages.push(message), { maxMessageBytes: MAX_MESSAGE_BYTES });
  let mostRetained = 0;
  try {
    for (let at = 0; at < input.length; ) {
      const length = pieceLength();
      reader.push(input.subarray(at, at + length));
      mostRetained = Math.max(mostRetained, reader.retainedBytes);
      at += length;
    }
    return { messages, error: undefined, mostRetained };
  } catch (error) {
    return { messages, error, mostRetained };
  }
}

function shown({ messages, error }: ReturnType<typeof feed>): string {
  const texts = messages.map(({ payload, ...rest }) => `${JSON.stringify(rest)} ${payload.toString("hex")}`);
  return [...texts, String(error)].join("\n");
}

describe("ChunkReader with a hostile peer", () => {
  it("returns messages or the typed error and holds bounded memory when chunks are cut, overwritten and split", () => {
    let errors = 0;
    for (let seed = 1; seed <= 1500; seed += 1) {
      const random = randomFrom(seed);
      const whole = session(random);
      const input = whole.subarray(0, 1 + random(whole.length));
      for (let wrong = random(60); wrong > 0; wrong -= 1) input.writeUInt8(random(256), random(input.length));
      const { messages, error, mostRetained } = feed(input, () => 1 + random(300));
      if (error !== undefined) errors += 1;
      expect(error === undefined || error instanceof RtmpProtocolError, `seed ${seed}: ${String(error)}`).toBe(true);
      expect(mostRetained).toBeLessThanOrEqual(MOST_RETAINED);
      expect(messages.every(({ payload }) => payload.length <= MAX_MESSAGE_BYTES)).toBe(true);
    }
    expect(errors).toBeGreaterThan(100);
    expect(errors).toBeLessThan(1400);
  });

  it("returns the same messages for pieces of any size", () => {
    for (let seed = 1; seed <= 100; seed += 1) {
      const random = randomFrom(seed);
      const input = session(random);
      const whole = feed(input, () => input.length);
      expect(whole.messages).toHaveLength(12);
      expect(shown(feed(input, () => 1 + random(64)))).toBe(shown(whole));
      expect(shown(feed(input, () => 1))).toBe(shown(whole));
    }
  });

  it("allocates little when long messages are announced on many chunk streams", () => {
    const reader = new ChunkReader(() => {});
    for (let id = 3; id < 64; id += 1) {
      // Type 0, a length of 8 MiB less one byte, and one chunk of it.
      reader.push(Buffer.concat([Buffer.of(id, 0, 0, 0, 0x7f, 0xff, 0xff, 9, 1, 0, 0, 0), Buffer.alloc(128)]));
    }
    expect(reader.retainedBytes).toBe(61 * 4096);
  });
});
