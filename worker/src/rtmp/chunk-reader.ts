import { MESSAGE, type RtmpMessage, readControlNumber } from "./message.ts";
import { RtmpProtocolError } from "./rtmp-protocol-error.ts";

const DEFAULT_CHUNK_BYTES = 128;
const EXTENDED = 0xffffff;
/**
 * The largest size of a chunk's headers: basic header 3, message header 11, extended timestamp 4 (Adobe RTMP 1.0, section
 * 5.3.1).
 */
const MAX_HEADER_BYTES = 18;
/** The size of the message header in bytes, by chunk type (section 5.3.1.2). */
const MESSAGE_HEADER_BYTES = [11, 7, 3, 0] as const;
/**
 * The number of bytes that are allocated first for a message that arrives in pieces. More is allocated only as bytes arrive.
 */
const FIRST_ROOM_BYTES = 4096;

export interface ChunkReaderLimits {
  /** The limit for the length of a message, and for the total of the bytes that are held of unfinished messages. */
  readonly maxMessageBytes: number;
  readonly maxChunkStreams: number;
}

const DEFAULT_LIMITS: ChunkReaderLimits = { maxMessageBytes: 8 * 1024 * 1024, maxChunkStreams: 64 };

interface IncomingStream {
  readonly id: number;
  timestamp: number;
  /** The time field of the last header: a delta, or the timestamp itself after type 0 (section 5.3.1.2.4). */
  timeField: number;
  /** True if the last header with a time field was of type 0. */
  absolute: boolean;
  extended: boolean;
  /**
   * True if the sender repeats an extended timestamp in its type 3 chunks. Implementations read the specification (section
   * 5.3.1.3) in both ways, so the first such chunk decides. Null until one has arrived.
   */
  repeatsExtended: boolean | null;
  length: number;
  typeId: number;
  streamId: number;
  /** The number of bytes received of the current message; null between messages. */
  received: number | null;
  /** The bytes received of the current message, if it did not arrive in one piece. */
  room: Buffer | null;
}

/**
 * Assembles messages from chunks (section 5.3), however the network splits the chunks. Set Chunk Size and Abort are applied
 * here, and are passed on like all other messages. The payload of a message that arrives in one piece is a view of the input;
 * other payloads are copied. Memory is not allocated just because a peer announces a length.
 */
export class ChunkReader {
  readonly #limits: ChunkReaderLimits;
  readonly #onMessage: (message: RtmpMessage) => void;
  readonly #streams = new Map<number, IncomingStream>();
  /** A header that was cut off by the end of the input. */
  readonly #cut = Buffer.alloc(MAX_HEADER_BYTES);
  #cutBytes = 0;
  #chunkBytes = DEFAULT_CHUNK_BYTES;
  /** The chunk stream whose payload comes next; null if a header comes next. */
  #current: IncomingStream | null = null;
  #missingBytes = 0;
  #heldBytes = 0;

  constructor(onMessage: (message: RtmpMessage) => void, limits: Partial<ChunkReaderLimits> = {}) {
    this.#onMessage = onMessage;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
  }

  /** The chunk size that the peer has last set. */
  get chunkBytes(): number {
    return this.#chunkBytes;
  }

  /** Bytes that are held until their messages are complete. */
  get retainedBytes(): number {
    let bytes = 0;
    for (const { room } of this.#streams.values()) bytes += room?.length ?? 0;
    return bytes;
  }

  /**
   * Processes the next bytes and calls back for each message that they complete.
   *
   * @throws RtmpProtocolError, after which the reader must not be used
   */
  push(data: Buffer): void {
    let offset = 0;
    while (offset < data.length) {
      offset = this.#current === null ? this.#readHeader(data, offset) : this.#readPayload(this.#current, data, offset);
    }
  }

  #readHeader(data: Buffer, offset: number): number {
    if (this.#cutBytes === 0) {
      const length = this.#parseHeader(data, offset, data.length);
      if (length > 0) return offset + length;
    }
    const copied = data.copy(this.#cut, this.#cutBytes, offset);
    const length = this.#parseHeader(this.#cut, 0, this.#cutBytes + copied);
    if (length === 0) {
      this.#cutBytes += copied;
      return data.length;
    }
    const before = this.#cutBytes;
    this.#cutBytes = 0;
    if (length >= before) return offset + length - before;
    // Some bytes were held because they might have been an extended timestamp, but they turned out to be payload.
    this.push(Buffer.from(this.#cut.subarray(length, before)));
    return offset;
  }

  /** @returns the header's length, or 0 if the header is not complete, in which case nothing has changed */
  #parseHeader(bytes: Buffer, start: number, end: number): number {
    const first = bytes[start] ?? 0;
    const type = first >> 6;
    const low = first & 0x3f;
    // The values 0 and 1 mean that the chunk stream id takes one or two more bytes (section 5.3.1.1).
    const basicBytes = low > 1 ? 1 : low + 2;
    const messageHeaderBytes = MESSAGE_HEADER_BYTES[type] ?? 0;
    const at = start + basicBytes;
    const afterHeader = at + messageHeaderBytes;
    if (afterHeader > end) return 0;
    const id = low > 1 ? low : 64 + bytes.readUInt8(start + 1) + (low === 1 ? bytes.readUInt8(start + 2) * 256 : 0);
    const known = this.#streams.get(id);
    const field = type === 3 ? (known?.timeField ?? 0) : bytes.readUIntBE(at, 3);
    const extended =
      type === 3 ? known?.extended === true && repeatsExtended(known, bytes, afterHeader, end) : field === EXTENDED;
    if (extended === null || (extended && afterHeader + 4 > end)) return 0;

    const stream = known ?? this.#open(id, type);
    if (type === 3) {
      if (stream.extended) stream.repeatsExtended = extended;
    } else {
      if (stream.received !== null) throw new RtmpProtocolError("A message began inside another of its chunk stream.");
      stream.extended = extended;
      stream.absolute = type === 0;
      stream.timeField = extended ? bytes.readUInt32BE(afterHeader) : field;
    }
    if (type <= 1) {
      const length = bytes.readUIntBE(at + 3, 3);
      if (length > this.#limits.maxMessageBytes)
        throw new RtmpProtocolError(`A message of ${length} bytes is too long.`);
      stream.length = length;
      stream.typeId = bytes.readUInt8(at + 6);
    }
    if (type === 0) stream.streamId = bytes.readUInt32LE(at + 7);
    if (stream.received === null) {
      stream.received = 0;
      // By section 5.3.1.2.4, the timestamp of a type 0 message is the delta of a type 3 message after it. This rule is not
      // applied to an extended timestamp, because no sender means to skip hours.
      const same = type === 3 && stream.extended && stream.absolute;
      if (type === 0) stream.timestamp = stream.timeField;
      else if (!same) stream.timestamp = (stream.timestamp + stream.timeField) >>> 0;
    }
    this.#missingBytes = Math.min(this.#chunkBytes, stream.length - stream.received);
    if (this.#missingBytes > 0) this.#current = stream;
    else this.#deliver(stream, Buffer.alloc(0));
    return afterHeader - start + (extended ? 4 : 0);
  }

  #open(id: number, type: number): IncomingStream {
    // A chunk stream may also begin with type 1, because some senders begin their control messages with it.
    if (type > 1) throw new RtmpProtocolError("A chunk stream began without a full header.");
    if (this.#streams.size >= this.#limits.maxChunkStreams) throw new RtmpProtocolError("Too many chunk streams.");
    const stream: IncomingStream = {
      id,
      timestamp: 0,
      timeField: 0,
      absolute: false,
      extended: false,
      repeatsExtended: null,
      length: 0,
      typeId: 0,
      streamId: 0,
      received: null,
      room: null,
    };
    this.#streams.set(id, stream);
    return stream;
  }

  #readPayload(stream: IncomingStream, data: Buffer, offset: number): number {
    const end = Math.min(data.length, offset + this.#missingBytes);
    const count = end - offset;
    this.#missingBytes -= count;
    if (this.#missingBytes === 0) this.#current = null;
    if (stream.received === 0 && count === stream.length) {
      this.#deliver(stream, data.subarray(offset, end));
    } else {
      this.#hold(stream, data, offset, end);
    }
    return end;
  }

  #hold(stream: IncomingStream, data: Buffer, offset: number, end: number): void {
    const before = stream.received ?? 0;
    const after = before + end - offset;
    this.#heldBytes += end - offset;
    if (this.#heldBytes > this.#limits.maxMessageBytes) throw new RtmpProtocolError("Too many unfinished messages.");
    let room = stream.room;
    if (room === null || room.length < after) {
      room = Buffer.allocUnsafe(Math.min(stream.length, Math.max(FIRST_ROOM_BYTES, after * 2)));
      stream.room?.copy(room, 0, 0, before);
      stream.room = room;
    }
    data.copy(room, before, offset, end);
    stream.received = after;
    if (after === stream.length) {
      this.#heldBytes -= after;
      this.#deliver(stream, room.subarray(0, after));
    }
  }

  #deliver(stream: IncomingStream, payload: Buffer): void {
    stream.received = null;
    stream.room = null;
    const message: RtmpMessage = {
      chunkStreamId: stream.id,
      typeId: stream.typeId,
      streamId: stream.streamId,
      timestampMs: stream.timestamp,
      payload,
    };
    if (message.typeId === MESSAGE.setChunkSize) this.#setChunkSize(readControlNumber(message));
    if (message.typeId === MESSAGE.abort) this.#abort(readControlNumber(message));
    this.#onMessage(message);
  }

  /** Sets the size of the peer's chunks, which has 31 bits and is at least 1 (section 5.4.1). */
  #setChunkSize(sizeBytes: number): void {
    if (sizeBytes === 0 || sizeBytes > 0x7fffffff) throw new RtmpProtocolError("A chunk size is from 1 to 2^31 - 1.");
    this.#chunkBytes = sizeBytes;
  }

  /** Drops the received part of a chunk stream's message (section 5.4.2). */
  #abort(chunkStreamId: number): void {
    const stream = this.#streams.get(chunkStreamId);
    if (stream?.received === null || stream === undefined) return;
    this.#heldBytes -= stream.received;
    stream.received = null;
    stream.room = null;
  }
}

/**
 * Decides once per chunk stream whether a type 3 header is followed by an extended timestamp, as SRS does: the next four bytes
 * are an extended timestamp if they equal the time field of the last header or the time of the message.
 *
 * @returns null if too few bytes have arrived to decide
 */
function repeatsExtended(stream: IncomingStream, bytes: Buffer, start: number, end: number): boolean | null {
  if (stream.repeatsExtended !== null) return stream.repeatsExtended;
  const here = Math.min(4, end - start);
  const isRepeated = (value: number) => {
    for (let index = 0; index < here; index += 1) {
      if (bytes[start + index] !== ((value >>> (24 - 8 * index)) & 0xff)) return false;
    }
    return true;
  };
  if (!isRepeated(stream.timeField) && !isRepeated(stream.timestamp)) return false;
  return here === 4 ? true : null;
}
