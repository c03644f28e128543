import { type RtmpMessage, setChunkSize } from "./message.ts";

/** Section 5.4.1: what both sides begin with. */
const DEFAULT_CHUNK_BYTES = 128;
/** The reach of a 24-bit timestamp field; from here on it is extended (section 5.3.1.3). */
const EXTENDED_FROM = 0xffffff;
/** A difference that looks longer than this is a step back. */
const HALF_RANGE = 0x80000000;
const MIN_CHUNK_STREAM_ID = 2;
/** The largest id that fits one byte of basic header (section 5.3.1.1). */
const MAX_CHUNK_STREAM_ID = 63;

interface OutgoingStream {
  streamId: number;
  timestamp: number;
}

/**
 * Cuts messages into chunks (Adobe RTMP 1.0, section 5.3). Payloads are handed on as slices, never copied; a header is
 * at most 16 bytes. The first message of a chunk stream is a type 0 chunk, later ones are type 1 (a time delta), so
 * that the extended timestamp stays away from sessions of over 4 h 39 min. Timestamps wrap at 2^32.
 */
export class ChunkWriter {
  readonly #write: (slice: Buffer) => void;
  readonly #streams: (OutgoingStream | undefined)[] = [];
  #chunkBytes = DEFAULT_CHUNK_BYTES;

  /** @param write takes the slices in order; it must not change them. */
  constructor(write: (slice: Buffer) => void) {
    this.#write = write;
  }

  /** Tells the peer the size of the chunks that follow, and uses it. */
  setChunkSize(sizeBytes: number): void {
    this.write(setChunkSize(sizeBytes));
    this.#chunkBytes = sizeBytes;
  }

  /** Writes one message. Chunk stream ids reach from 2 to 63. */
  write(message: RtmpMessage): void {
    const { chunkStreamId, payload } = message;
    if (chunkStreamId < MIN_CHUNK_STREAM_ID || chunkStreamId > MAX_CHUNK_STREAM_ID) {
      throw new RangeError("A chunk stream id is from 2 to 63.");
    }
    const timestamp = message.timestampMs >>> 0;
    const extended = this.#writeFirstHeader(message, timestamp);
    if (payload.length <= this.#chunkBytes) {
      if (payload.length > 0) this.#write(payload);
      return;
    }
    const continuation = continuationHeader(chunkStreamId, extended);
    this.#write(payload.subarray(0, this.#chunkBytes));
    for (let offset = this.#chunkBytes; offset < payload.length; offset += this.#chunkBytes) {
      this.#write(continuation);
      this.#write(payload.subarray(offset, offset + this.#chunkBytes));
    }
  }

  /** @returns the extended timestamp that the message's other chunks repeat; null where there is none. */
  #writeFirstHeader(message: RtmpMessage, timestamp: number): number | null {
    const { chunkStreamId, streamId, typeId, payload } = message;
    const last = this.#streams[chunkStreamId];
    const delta = last === undefined ? 0 : (timestamp - last.timestamp) >>> 0;
    const full = last === undefined || last.streamId !== streamId || delta >= HALF_RANGE;
    const time = full ? timestamp : delta;
    const extended = time >= EXTENDED_FROM;
    const baseBytes = full ? 12 : 8;
    const header = Buffer.allocUnsafe(extended ? baseBytes + 4 : baseBytes);
    header[0] = (full ? 0x00 : 0x40) | chunkStreamId;
    header.writeUIntBE(extended ? EXTENDED_FROM : time, 1, 3);
    header.writeUIntBE(payload.length, 4, 3);
    header[7] = typeId;
    // Section 5.3.1.2.1: the message stream id alone is little-endian.
    if (full) header.writeUInt32LE(streamId, 8);
    if (extended) header.writeUInt32BE(time, baseBytes);
    if (last === undefined) this.#streams[chunkStreamId] = { streamId, timestamp };
    else {
      last.streamId = streamId;
      last.timestamp = timestamp;
    }
    this.#write(header);
    return extended ? time : null;
  }
}

/** A type 3 header. Section 5.3.1.3: it repeats the extended timestamp; receivers drop sessions that omit it. */
function continuationHeader(chunkStreamId: number, extended: number | null): Buffer {
  const header = Buffer.allocUnsafe(extended === null ? 1 : 5);
  header[0] = 0xc0 | chunkStreamId;
  if (extended !== null) header.writeUInt32BE(extended, 1);
  return header;
}
