import { DemuxError } from "../demuxer.ts";

export const PACKET_BYTES = 188;
const SYNC = 0x47;
/** The packet sizes: plain, with a time before it (M2TS of discs and cameras), with a checksum after it (DVB-ASI). */
const STRIDES = [188, 192, 204] as const;
/** The number of consecutive sync bytes that confirms the position of packets. */
const SURE = 3;
const LOOK_AHEAD = 204 * (SURE - 1) + 1;
/** The size of the buffer for the rest of a chunk: more than a packet and the look-ahead. */
const CARRY_BYTES = 4096;
/** The longest noise without a packet, at the beginning and later. More noise means that the bytes are not MPEG-TS. */
const MAX_GARBAGE_AT_START = 64 * 1024;
const MAX_GARBAGE = 4 * 1024 * 1024;

/**
 * Finds the packets of a transport stream that arrives in pieces of any size. Only packets that lie across two pieces
 * are copied.
 */
export class PacketReader {
  readonly #onPacket: (bytes: Buffer, at: number) => void;
  readonly #carry = Buffer.allocUnsafeSlow(CARRY_BYTES);
  #carried = 0;
  /** The distance between packets; 0 if their positions are unknown. */
  #stride = 0;
  #garbage = 0;
  #found = false;

  /** @param onPacket called with each packet's position; the bytes may change after the call has returned */
  constructor(onPacket: (bytes: Buffer, at: number) => void) {
    this.#onPacket = onPacket;
  }

  /** Reads the next bytes. @throws DemuxError if no packet is found for too long. */
  push(chunk: Buffer): void {
    let at = 0;
    while (this.#carried > 0 && at < chunk.length) {
      const before = this.#carried;
      const taken = Math.min(chunk.length - at, CARRY_BYTES - before);
      chunk.copy(this.#carry, before, at, at + taken);
      const used = this.#scan(this.#carry, 0, before + taken, false);
      if (used >= before) {
        // From here on, all bytes lie in the chunk.
        this.#carried = 0;
        at += used - before;
      } else {
        this.#carry.copyWithin(0, used, before + taken);
        this.#carried = before + taken - used;
        at += taken;
      }
    }
    if (at >= chunk.length) return;
    at = this.#scan(chunk, at, chunk.length, false);
    this.#carried = chunk.copy(this.#carry, 0, Math.min(at, chunk.length), chunk.length);
  }

  /** Ends the bytes. The next ones may have another packet size. */
  flush(): void {
    this.#scan(this.#carry, 0, this.#carried, true);
    this.#carried = 0;
    this.#stride = 0;
    this.#garbage = 0;
  }

  /**
   * Passes on the packets in the bytes. @returns the end of the used bytes; the rest is less than a packet and the
   * look-ahead
   */
  #scan(bytes: Buffer, start: number, end: number, final: boolean): number {
    let at = start;
    for (;;) {
      if (this.#stride > 0) {
        const stride = this.#stride;
        // The last packet needs only its own bytes, because whatever separates packets may be missing after it.
        const needed = final ? PACKET_BYTES : stride;
        while (at + needed <= end && bytes[at] === SYNC) {
          this.#onPacket(bytes, at);
          at += stride;
        }
        if (at + needed > end) return Math.min(at, end);
      }
      if (!final && end - at < LOOK_AHEAD) return at;
      const found = this.#find(bytes, at, end, final);
      this.#garbage += found - at;
      at = found;
      if (this.#stride === 0) {
        this.#checkGarbage();
        return at;
      }
      this.#found = true;
      this.#garbage = 0;
    }
  }

  /** Sets the stride. @returns the position of the first packet, or the end of the bytes that certainly contain none. */
  #find(bytes: Buffer, start: number, end: number, final: boolean): number {
    const known = this.#stride;
    // If the next packet is at its place, only one sync byte was broken.
    if (known > 0 && isSure(bytes, start + known, end, known, final)) return start + known;
    const last = final ? end - PACKET_BYTES : end - LOOK_AHEAD;
    for (let at = start; at <= last; at += 1) {
      if (bytes[at] !== SYNC) continue;
      const stride = STRIDES.find((candidate) => isSure(bytes, at, end, candidate, final));
      if (stride === undefined) continue;
      this.#stride = stride;
      return at;
    }
    this.#stride = 0;
    return Math.max(start, last + 1);
  }

  #checkGarbage(): void {
    if (this.#garbage > (this.#found ? MAX_GARBAGE : MAX_GARBAGE_AT_START)) {
      throw new DemuxError("There are no MPEG-TS packets in these bytes.");
    }
  }
}

function isSure(bytes: Buffer, at: number, end: number, stride: number, final: boolean): boolean {
  if (at + (SURE - 1) * stride >= end && !final) return false;
  for (let count = 0; count < SURE && at + count * stride < end; count += 1) {
    if (bytes[at + count * stride] !== SYNC) return false;
  }
  return at < end;
}
