import { type RtmpMessage, setChunkSize } from "./message.ts";

/** The initial chunk size of both sides (section 5.4.1). */
const DEFAULT_CHUNK_BYTES = 128;
/** The smallest time that does not fit into the 24-bit field and is written as an extended timestamp (section 5.3.1.3). */
const EXTENDED_FROM = 0xffffff;
/** A timestamp difference (modulo 2^32) of at least this much means that the timestamp went back. */
const HALF_RANGE = 0x80000000;
const MIN_CHUNK_STREAM_ID = 2;
/** The largest id that fits into a basic header of one byte (section 5.3.1.1). */
const MAX_CHUNK_STREAM_ID = 63;

interface OutgoingStream {
  readonly streamId: number;
  readonly timestamp: number;
}

/**
 * Splits messages into chunks (Adobe RTMP 1.0, section 5.3). Each message, with all its headers, is written as one buffer, so
 * that the payload is copied only once however small the chunks are. The first message of a chunk stream begins with a type 0
 * chunk, which has the timestamp. So does a message whose timestamp went back, or that is of another message stream. Other
 * messages begin with a type 1 chunk, which has a time delta, so that sessions of over 4 h 39 min need no extended timestamp.
 * Timestamps wrap at 2^32.
 */
export class ChunkWriter {
  readonly #write: (message: Buffer) => void;
  readonly #streams: (OutgoingStream | undefined)[] = [];
  #chunkBytes = DEFAULT_CHUNK_BYTES;

  /** @param write is called with each message as one buffer, in the order of the messages */
  constructor(write: (message: Buffer) => void) {
    this.#write = write;
  }

  /** Announces a new chunk size to the peer and uses it from then on. */
  setChunkSize(sizeBytes: number): void {
    this.write(setChunkSize(sizeBytes));
    this.#chunkBytes = sizeBytes;
  }

  /** Writes one message. The chunk stream id must be from 2 to 63. */
  write(message: RtmpMessage): void {
    const { chunkStreamId, streamId, typeId, payload } = message;
    if (chunkStreamId < MIN_CHUNK_STREAM_ID || chunkStreamId > MAX_CHUNK_STREAM_ID) {
      throw new RangeError("The chunk stream id must be from 2 to 63.");
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
    // The message stream id is the only little-endian field (section 5.3.1.2.1).
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
