import type { MediaTag } from "../media-tag.ts";
import { parseTagBody } from "./flv-tag.ts";

/** The error if the bytes are not FLV, or if they need more memory than a stream may use. */
export class FlvError extends Error {
  override readonly name = "FlvError";
}

/** The size of the file header: `FLV`, version, flags, offset of the body (Adobe FLV 10.1, E.2). */
const FILE_HEADER_BYTES = 9;
/** The largest offset of the body. A file header with an offset over 9 is padded; ffmpeg and servers write 9. */
const MAX_FILE_HEADER_BYTES = 1024;
const PREVIOUS_TAG_SIZE_BYTES = 4;
/** The size of a tag header: type, 24-bit size, 24-bit timestamp, upper 8 bits of the timestamp, stream id (E.4.1). */
const TAG_HEADER_BYTES = 11;
/** The largest size of a tag. A keyframe of 1080p at the highest bit rates is below 2 MiB; the format would allow 16 MiB. */
const MAX_TAG_BYTES = 8 * 1024 * 1024;
/**
 * The number of bytes that are allocated first for a part that arrives in several pieces. More is allocated only as data
 * arrives.
 */
const FIRST_ROOM_BYTES = 64 * 1024;

const TAG_AUDIO = 8;
const TAG_VIDEO = 9;
const TAG_SCRIPT = 18;

/** The part that the demuxer reads next. */
type Step =
  | { readonly name: "fileHeader" }
  | { readonly name: "padding"; readonly bytes: number }
  | { readonly name: "tagHeader" }
  | {
      readonly name: "body";
      readonly kind: "audio" | "video" | "script";
      readonly bytes: number;
      readonly dtsMs: number;
    };

export interface FlvDemuxerOptions {
  /** An offset that is added to every timestamp, ms; 0 by default. */
  readonly shiftMs?: number;
  /** Makes a tag of a body, or returns null to skip it. By default, only H.264 and AAC become tags. */
  readonly read?: typeof parseTagBody;
  readonly onTag: (tag: MediaTag) => void;
}

/**
 * Reads an FLV byte stream in pieces of any size. A tag's payload is a slice of the piece that contains it, or one copy if it
 * spans several pieces. Script tags are skipped, and so are bodies of which the option `read` makes no tag.
 */
export class FlvDemuxer {
  readonly #onTag: (tag: MediaTag) => void;
  readonly #shiftMs: number;
  readonly #read: typeof parseTagBody;
  #step: Step = { name: "fileHeader" };
  /** The bytes of the current part that have arrived so far, if it did not arrive in one piece. */
  #partial: Buffer | undefined;
  #filled = 0;

  constructor(options: FlvDemuxerOptions) {
    this.#onTag = options.onTag;
    this.#shiftMs = options.shiftMs ?? 0;
    this.#read = options.read ?? parseTagBody;
  }

  /** True if the stream may end here, because all its tags are complete. */
  get atBoundary(): boolean {
    return this.#filled === 0 && this.#step.name === "tagHeader";
  }

  /** The number of bytes that are held until the rest of their tag has arrived. */
  get retainedBytes(): number {
    return this.#partial?.length ?? 0;
  }

  /**
   * Reads a piece of the stream.
   *
   * @throws FlvError, after which the demuxer must not be used
   */
  push(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length || this.#needed() === 0) {
      const needed = this.#needed();
      if (this.#filled === 0 && chunk.length - offset >= needed) {
        this.#complete(chunk.subarray(offset, offset + needed));
        offset += needed;
        continue;
      }
      const end = Math.min(chunk.length, offset + needed - this.#filled);
      const room = this.#roomFor(this.#filled + end - offset);
      const copied = chunk.copy(room, this.#filled, offset, end);
      offset += copied;
      this.#filled += copied;
      if (this.#filled < needed) return;
      this.#partial = undefined;
      this.#filled = 0;
      this.#complete(room.subarray(0, needed));
    }
  }

  /**
   * Returns a buffer for the current part with space for at least this many bytes. The buffer grows only with the data that
   * arrives, because a length field alone must not cost memory.
   */
  #roomFor(bytes: number): Buffer {
    if (this.#partial !== undefined && this.#partial.length >= bytes) return this.#partial;
    const room = Buffer.allocUnsafeSlow(Math.min(this.#needed(), Math.max(FIRST_ROOM_BYTES, bytes * 2)));
    this.#partial?.copy(room, 0, 0, this.#filled);
    this.#partial = room;
    return room;
  }

  #needed(): number {
    if (this.#step.name === "fileHeader") return FILE_HEADER_BYTES;
    if (this.#step.name === "tagHeader") return PREVIOUS_TAG_SIZE_BYTES + TAG_HEADER_BYTES;
    return this.#step.bytes;
  }

  #complete(bytes: Buffer): void {
    const step = this.#step;
    switch (step.name) {
      case "fileHeader":
        this.#step = afterFileHeader(bytes);
        return;
      case "padding":
        this.#step = { name: "tagHeader" };
        return;
      case "tagHeader":
        this.#step = afterTagHeader(bytes.subarray(PREVIOUS_TAG_SIZE_BYTES));
        return;
      case "body": {
        this.#step = { name: "tagHeader" };
        const tag = step.kind === "script" ? null : this.#read(step.kind, step.dtsMs + this.#shiftMs, bytes);
        if (tag !== null) this.#onTag(tag);
      }
    }
  }
}

function afterFileHeader(bytes: Buffer): Step {
  if (bytes.toString("latin1", 0, 3) !== "FLV") throw new FlvError("The stream does not begin with FLV.");
  const offset = bytes.readUInt32BE(5);
  if (offset < FILE_HEADER_BYTES || offset > MAX_FILE_HEADER_BYTES) {
    throw new FlvError(`The FLV header claims a length of ${offset} bytes.`);
  }
  return { name: "padding", bytes: offset - FILE_HEADER_BYTES };
}

function afterTagHeader(header: Buffer): Step {
  const bytes = header.readUIntBE(1, 3);
  if (bytes > MAX_TAG_BYTES) throw new FlvError(`An FLV tag of ${bytes} bytes is larger than any picture may be.`);
  // TimestampExtended is the upper byte of a signed 32-bit number (E.4.1).
  const dtsMs = (header.readUInt8(7) << 24) | header.readUIntBE(4, 3);
  return { name: "body", kind: kindOf(header.readUInt8(0)), bytes, dtsMs };
}

/**
 * Returns the kind of a tag by its type. Encrypted tags, which have another bit of the type set (E.4.1, Filter), are refused as
 * unknown.
 */
function kindOf(type: number): "audio" | "video" | "script" {
  if (type === TAG_AUDIO) return "audio";
  if (type === TAG_VIDEO) return "video";
  if (type === TAG_SCRIPT) return "script";
  throw new FlvError(`An FLV tag has the type ${type}, which is unknown.`);
}
