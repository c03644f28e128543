import { randomFillSync } from "node:crypto";
import { RtmpProtocolError } from "./rtmp-protocol-error.ts";

const VERSION = 3;
/** The size of each of C1, C2, S1 and S2 (Adobe RTMP 1.0, sections 5.2.3 and 5.2.4). */
const PART_BYTES = 1536;
/** The number of bytes that each side receives: a version byte and two parts. */
const TOTAL_BYTES = 1 + 2 * PART_BYTES;

/** One side of the simple handshake (section 5.2). It accepts its input in pieces of any size. */
export class Handshake {
  readonly #role: "client" | "server";
  readonly #send: (bytes: Buffer) => void;
  /** The version byte and the first part of the peer. The part is sent back to the peer (section 5.2.4). */
  readonly #first = Buffer.alloc(1 + PART_BYTES);
  #receivedBytes = 0;

  /** Sends the first bytes at once if this side is the client. */
  constructor(role: "client" | "server", send: (bytes: Buffer) => void) {
    this.#role = role;
    this.#send = send;
    if (role === "client") send(firstParts());
  }

  /**
   * @returns null until the handshake is done, and then the bytes that follow it, which may be none
   * @throws RtmpProtocolError if the peer does not speak RTMP.
   */
  push(data: Buffer): Buffer | null {
    const before = this.#receivedBytes;
    if (before === 0 && data.length > 0 && data[0] !== VERSION) {
      throw new RtmpProtocolError("The peer does not speak RTMP version 3.");
    }
    const taken = Math.min(data.length, TOTAL_BYTES - before);
    this.#receivedBytes = before + taken;
    if (before < this.#first.length) {
      data.copy(this.#first, before);
      if (this.#receivedBytes >= this.#first.length) this.#answer();
    }
    // C2 and S2 are not compared with the bytes that they should repeat. Servers with the undocumented "complex" handshake send
    // other bytes, and nothing depends on them.
    return this.#receivedBytes === TOTAL_BYTES ? data.subarray(taken) : null;
  }

  #answer(): void {
    const echo = this.#first.subarray(1);
    this.#send(this.#role === "client" ? echo : Buffer.concat([firstParts(), echo]));
  }
}

/**
 * Returns C0 and C1, or S0 and S1: the version, a time of zero, four zero bytes, and random bytes (sections 5.2.2 and 5.2.3).
 */
function firstParts(): Buffer {
  const bytes = Buffer.alloc(1 + PART_BYTES);
  bytes.writeUInt8(VERSION);
  randomFillSync(bytes, 9);
  return bytes;
}
