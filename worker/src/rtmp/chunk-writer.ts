import { type RtmpMessage, setChunkSize } from "./message.ts";

/** The initial chunk size of both sides (section 5.4.1). */
const DEFAULT_CHUNK_BYTES = 128;
/** From this value on, a 24-bit timestamp field is extended (section 5.3.1.3). */
const EXTENDED_FROM = 0xffffff;
/** A larger difference is a step back. */
const HALF_RANGE = 0x80000000;
const MIN_CHUNK_STREAM_ID = 2;
/** The largest id that fits one byte of basic header (section 5.3.1.1). */
const MAX_CHUNK_STREAM_ID = 63;

interface OutgoingStream {
  readonly streamId: number;
  readonly timestamp: number;
}

/**
 * Splits messages into chunks (Adobe RTMP 1.0, section 5.3). Each message is written in one piece, headers and payload,
 * so that small chunks cost only one copy of the payload. The first message of a chunk stream is a type 0 chunk. Later
 * ones are type 1 (a time delta), so that sessions of over 4 h 39 min need no extended timestamp.
 * Timestamps wrap at 2^32.
 */
export class ChunkWriter {
  readonly #write: (message: Buffer) => void;
  readonly #streams: (OutgoingStream | undefined)[] = [];
  #chunkBytes = DEFAULT_CHUNK_BYTES;

  /** @param write takes each message as one piece, in order. */
  constructor(write: (message: Buffer) => void) {
    this.#write = write;
  }

  /** Announces a new chunk size to the peer and uses it from then on. */
  setChunkSize(sizeBytes: number): void {
    this.write(setChunkSize(sizeBytes));
    this.#chunkBytes = sizeBytes;
  }

  /** Writes one message. Chunk stream ids reach from 2 to 63. */
  write(message: RtmpMessage): void {
    const { chunkStreamId, streamId, typeId, payload } = message;
    if (chunkStreamId < MIN_CHUNK_STREAM_ID || chunkStreamId > MAX_CHUNK_STREAM_ID) {
      throw new RangeError("A chunk stream id is from 2 to 63.");
    }
    const { full, time } = this.#step(chunkStreamId, streamId, message.timestampMs >>> 0);
    const extended = time >= EXTENDED_FROM;
    const length = payload.length;
    const headerBytes = (full ? 12 : 8) + (extended ? 4 : 0);
    // A type 3 header repeats the extended timestamp (section 5.3.1.3), because receivers drop sessions that omit it.
    const continuationBytes = extended ? 5 : 1;
    const continuations = length === 0 ? 0 : Math.ceil(length / this.#chunkBytes) - 1;
    const bytes = Buffer.allocUnsafe(headerBytes + length + continuations * continuationBytes);
    bytes[0] = (full ? 0x00 : 0x40) | chunkStreamId;
    bytes.writeUIntBE(extended ? EXTENDED_FROM : time, 1, 3);
    bytes.writeUIntBE(length, 4, 3);
    bytes[7] = typeId;
    // Section 5.3.1.2.1: the message stream id alone is little-endian.
    if (full) bytes.writeUInt32LE(streamId, 8);
    if (extended) bytes.writeUInt32BE(time, headerBytes - 4);
    let at = headerBytes + payload.copy(bytes, headerBytes, 0, this.#chunkBytes);
    for (let offset = this.#chunkBytes; offset < length; offset += this.#chunkBytes) {
      bytes[at] = 0xc0 | chunkStreamId;
      if (extended) bytes.writeUInt32BE(time, at + 1);
      at += continuationBytes;
      at += payload.copy(bytes, at, offset, offset + this.#chunkBytes);
    }
    this.#write(bytes);
  }

  /** Returns the header's time field: the timestamp for a full header, otherwise a delta. */
  #step(chunkStreamId: number, streamId: number, timestamp: number): { full: boolean; time: number } {
    const last = this.#streams[chunkStreamId];
    this.#streams[chunkStreamId] = { streamId, timestamp };
    if (last === undefined || last.streamId !== streamId) return { full: true, time: timestamp };
    const delta = (timestamp - last.timestamp) >>> 0;
    return delta >= HALF_RANGE ? { full: true, time: timestamp } : { full: false, time: delta };
  }
}
