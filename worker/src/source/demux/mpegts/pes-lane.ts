import { type Clock33, signedTicks } from "../clock-33.ts";
import type { ElementaryStream } from "../elementary-stream.ts";
import { PACKET_BYTES } from "./packet-reader.ts";

const START_CODE_BYTES = 6;
const FIXED_HEADER_BYTES = 9;
const MAX_HEADER_BYTES = FIXED_HEADER_BYTES + 255;
/**
 * The stream ids of PES packets without times: program_stream_map, padding, private_stream_2, ECM, EMM, directory,
 * DSM-CC and H.222.1 type E.
 */
const PLAIN_STREAM_IDS = new Set([0xbc, 0xbe, 0xbf, 0xf0, 0xf1, 0xf2, 0xf8, 0xff]);
const COUNTER_UNKNOWN = -1;

/** Reads the packets of one PID and passes its PES packets (ISO/IEC 13818-1, 2.4.3.6) to the elementary stream. */
export class PesLane {
  readonly #stream: ElementaryStream;
  readonly #clock: Clock33;
  readonly #header = Buffer.allocUnsafe(MAX_HEADER_BYTES);
  #headerBytes = 0;
  #place: "outside" | "header" | "payload" = "outside";
  #counter = COUNTER_UNKNOWN;
  /** The last eight bytes of the last packet, in two numbers. They identify a repeated packet. */
  #tail = 0;
  #beforeTail = 0;
  /** True if the last packet was padded. Padding only occurs at the end of a PES packet. */
  #stuffed = false;
  /** The remaining bytes of the PES packet; negative if its length is not given. */
  #left = -1;

  constructor(stream: ElementaryStream, clock: Clock33) {
    this.#stream = stream;
    this.#clock = clock;
  }

  /** Reads one packet that is neither broken nor scrambled. */
  packet(bytes: Buffer, at: number): void {
    const control = bytes[at + 3] ?? 0;
    // The counter does not increase for a packet without payload.
    if ((control & 0x10) === 0) return;
    const starts = ((bytes[at + 1] ?? 0) & 0x40) !== 0;
    const counter = control & 0x0f;
    const end = at + PACKET_BYTES;
    let start = at + 4;
    let stuffed = false;
    let restarts = false;
    if ((control & 0x20) !== 0) {
      const fieldBytes = bytes[start] ?? 0;
      if (fieldBytes > 182) return;
      stuffed = isStuffed(bytes, start, fieldBytes);
      restarts = fieldBytes > 0 && ((bytes[start + 1] ?? 0) & 0x80) !== 0;
      start += 1 + fieldBytes;
    }
    const tail = bytes.readInt32BE(end - 4);
    const beforeTail = bytes.readInt32BE(end - 8);
    if (this.#counter !== COUNTER_UNKNOWN && counter !== ((this.#counter + 1) & 0x0f)) {
      if (counter === this.#counter && tail === this.#tail && beforeTail === this.#beforeTail) return;
      // A muxer that restarts for every segment begins to count at 0.
      this.#break(restarts || (starts && counter === 0));
    }
    this.#counter = counter;
    this.#tail = tail;
    this.#beforeTail = beforeTail;
    this.#stuffed = stuffed;
    if (starts) {
      this.#place = "header";
      this.#headerBytes = 0;
      this.#left = -1;
    }
    if (this.#place === "header") this.#readHeader(bytes, start, end);
    else if (this.#place === "payload") this.#append(bytes, start, end);
  }

  /** Reports that a packet of this PID cannot be read. */
  lose(): void {
    this.#break(false);
  }

  /** Gives what is waiting, and announces that the next packets have new counters. */
  flush(): void {
    this.#stream.flush();
    this.#counter = COUNTER_UNKNOWN;
    this.#place = "outside";
  }

  /** Handles a possible loss of packets. A PES packet that is already whole is still given. */
  #break(restarts: boolean): void {
    const whole = this.#place === "payload" && (this.#left === 0 || (this.#left < 0 && this.#stuffed));
    if (restarts || whole || this.#place === "outside") this.#stream.flush();
    else this.#stream.lose();
    this.#place = "outside";
  }

  #readHeader(bytes: Buffer, start: number, end: number): void {
    const copied = bytes.copy(this.#header, this.#headerBytes, start, end);
    this.#headerBytes += copied;
    if (this.#headerBytes < FIXED_HEADER_BYTES) return;
    const header = this.#header;
    const total = FIXED_HEADER_BYTES + header.readUInt8(8);
    if (header.readUIntBE(0, 3) !== 1 || PLAIN_STREAM_IDS.has(header.readUInt8(3))) {
      this.#place = "outside";
      return;
    }
    if (this.#headerBytes < total) return;
    this.#begin(total);
    this.#append(bytes, end - (this.#headerBytes - total), end);
  }

  #begin(headerBytes: number): void {
    const header = this.#header;
    const length = header.readUInt16BE(4);
    this.#left = length === 0 ? -1 : Math.max(0, START_CODE_BYTES + length - headerBytes);
    this.#place = "payload";
    const flags = header.readUInt8(7);
    const pts = (flags & 0x80) !== 0 && headerBytes >= 14 ? readTime(header, 9) : null;
    const dts = (flags & 0xc0) === 0xc0 && headerBytes >= 19 ? readTime(header, 14) : null;
    if (pts === null) return this.#stream.begin(null, null);
    const first = this.#clock.unwrap(dts ?? pts);
    this.#stream.begin(first + signedTicks(pts - (dts ?? pts)), dts === null ? null : first);
  }

  /**
   * Passes on bytes of a PES packet. Some muxers write a wrong length, so all bytes count; the length only shows
   * whether the packet is whole.
   */
  #append(bytes: Buffer, start: number, end: number): void {
    if (this.#left > 0) this.#left = Math.max(0, this.#left - (end - start));
    if (end > start) this.#stream.append(bytes, start, end);
  }
}

/** Returns true if an adaptation field (2.4.3.4) has padding after its content. */
function isStuffed(bytes: Buffer, at: number, fieldBytes: number): boolean {
  if (fieldBytes === 0) return true;
  const flags = bytes[at + 1] ?? 0;
  let used = 1;
  if ((flags & 0x10) !== 0) used += 6; // PCR
  if ((flags & 0x08) !== 0) used += 6; // OPCR
  if ((flags & 0x04) !== 0) used += 1; // splice_countdown
  if ((flags & 0x02) !== 0) used += 1 + (bytes[at + 1 + used] ?? 0); // private data
  if ((flags & 0x01) !== 0) used += 1 + (bytes[at + 1 + used] ?? 0); // extension
  return fieldBytes > used;
}

/** Reads a 33-bit number in three parts with marker bits between them. */
function readTime(bytes: Buffer, at: number): number {
  const high = (bytes.readUInt8(at) >> 1) & 7;
  return high * 2 ** 30 + (bytes.readUInt16BE(at + 1) >> 1) * 2 ** 15 + (bytes.readUInt16BE(at + 3) >> 1);
}
