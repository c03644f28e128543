import { DemuxError } from "../demuxer.ts";

export const PACKET_BYTES = 188;
const SYNC = 0x47;
/** Plain packets; with a time in front (M2TS of discs and cameras); with a checksum behind (DVB-ASI). */
const STRIDES = [188, 192, 204] as const;
/** As many sync bytes in a row make sure of a place. */
const SURE = 3;
const LOOK_AHEAD = 204 * (SURE - 1) + 1;
/** Keeps what is left of one chunk until the next one: more than a packet and a look ahead. */
const CARRY_BYTES = 4096;
/** As long a beginning without a packet is something else; later, noise as long as this is no stream any more. */
const MAX_GARBAGE_AT_START = 64 * 1024;
const MAX_GARBAGE = 4 * 1024 * 1024;

/** Finds the packets of a transport stream in bytes that come in pieces of any size. Copies only what lies across two. */
export class PacketReader {
  readonly #onPacket: (bytes: Buffer, at: number) => void;
  readonly #carry = Buffer.allocUnsafeSlow(CARRY_BYTES);
  #carried = 0;
  /** Distance of packets; 0: their places are not known. */
  #stride = 0;
  #garbage = 0;
  #found = false;

  /** @param onPacket is given each packet's place; the bytes may change once it has returned. */
  constructor(onPacket: (bytes: Buffer, at: number) => void) {
    this.#onPacket = onPacket;
  }

  /** @throws DemuxError where there are no packets for too long. */
  push(chunk: Buffer): void {
    let at = 0;
    while (this.#carried > 0 && at < chunk.length) {
      const before = this.#carried;
      const taken = Math.min(chunk.length - at, CARRY_BYTES - before);
      chunk.copy(this.#carry, before, at, at + taken);
      const used = this.#scan(this.#carry, 0, before + taken, false);
      if (used >= before) {
        // What is left lies in the chunk as a whole.
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

  /** The bytes end here; what follows begins with a packet of any kind. */
  flush(): void {
    this.#scan(this.#carry, 0, this.#carried, true);
    this.#carried = 0;
    this.#stride = 0;
    this.#garbage = 0;
  }

  /** @returns how far the bytes are used up; what is left is less than a packet and a look ahead. */
  #scan(bytes: Buffer, start: number, end: number, final: boolean): number {
    let at = start;
    for (;;) {
      if (this.#stride > 0) {
        const stride = this.#stride;
        // The padding of the last packet may be missing.
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

  /** Sets the stride. @returns where the packets begin, or, where none do, how far that is certain. */
  #find(bytes: Buffer, start: number, end: number, final: boolean): number {
    const known = this.#stride;
    // One broken sync byte does not move the packets behind it.
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
