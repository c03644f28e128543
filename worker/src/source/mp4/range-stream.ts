import { RoomcastError } from "@roomcast/shared";
import type { HttpAnswer } from "../http/http-client.ts";

/** The bytes of a file from a given byte to its end. The body recovers from lost connections by itself. */
export type RangeResponse = Pick<HttpAnswer, "totalBytes" | "seekable" | "body">;

/**
 * Requests a file from a byte to its end. The body stays open until it is read to its end, its iterator is returned, or
 * the signal aborts.
 *
 * @throws RoomcastError
 */
export type OpenRange = (startByte: number, signal: AbortSignal) => Promise<RangeResponse>;

export interface RangeStreamOptions {
  readonly openRange: OpenRange;
  readonly startByte?: number;
  /** The properties of the file that an earlier response showed. */
  readonly known?: Pick<RangeResponse, "totalBytes" | "seekable">;
}

interface Connection {
  readonly chunks: AsyncIterator<Buffer>;
  readonly controller: AbortController;
}

/** The most bytes that are read and dropped to move forwards, because this is cheaper than a new request. */
const READ_OVER_BYTES = 256 * 1024;
const NO_BYTES = Buffer.alloc(0);

/** A file on a server as a stream of bytes that is read forwards and supports seeking. */
export class RangeStream {
  readonly #options: RangeStreamOptions;
  readonly #closing = new AbortController();
  #connection: Connection | undefined;
  #chunk: Buffer = NO_BYTES;
  /** The number of bytes of the chunk that were read. */
  #used = 0;
  /** The position of the first byte after the current chunk. */
  #fetched: number;
  #file: Pick<RangeResponse, "totalBytes" | "seekable"> | undefined;

  constructor(options: RangeStreamOptions) {
    this.#options = options;
    this.#fetched = options.startByte ?? 0;
    this.#file = options.known;
  }

  /** The position of the next byte to read. */
  get position(): number {
    return this.#fetched - this.#held;
  }

  get #held(): number {
    return this.#chunk.length - this.#used;
  }

  /** The size of the file in bytes; null if the server does not say, or before its first response. */
  get totalBytes(): number | null {
    return this.#file?.totalBytes ?? null;
  }

  get seekable(): boolean {
    return this.#file?.seekable ?? false;
  }

  /** Returns a second stream over the same file. It checks that the file has not changed. */
  fork(startByte: number): RangeStream {
    const twin = new RangeStream({ ...this.#options, startByte });
    twin.#file = this.#file;
    return twin;
  }

  /**
   * Does the same as `seek` and `readInto` without a promise, but only if all bytes are in the current chunk. Most
   * samples are, and for these a promise would cost more than the reading.
   *
   * @returns false if bytes are missing; in that case nothing is read
   */
  readHeld(position: number, target: Buffer, at: number): boolean {
    const over = position - this.position;
    if (over < 0 || over + target.length - at > this.#held || this.#closing.signal.aborted) return false;
    const start = this.#used + over;
    this.#used = start + this.#chunk.copy(target, at, start);
    return true;
  }

  /**
   * Fills `target` from `at` to its end.
   *
   * @returns false if the file ends before that
   */
  async readInto(target: Buffer, at = 0): Promise<boolean> {
    this.#closing.signal.throwIfAborted();
    let filled = at;
    while (filled < target.length) {
      if (this.#held === 0 && !(await this.#fetch())) return false;
      const copied = this.#chunk.copy(target, filled, this.#used);
      this.#used += copied;
      filled += copied;
    }
    return true;
  }

  /**
   * Moves to a position, by reading up to it or, if the position is far ahead or before the present one, by a new
   * request.
   */
  async seek(position: number): Promise<void> {
    const over = position - this.position;
    if (over < 0 || (over > this.#held + READ_OVER_BYTES && this.seekable)) {
      if (!this.seekable) throw withoutRanges();
      await this.#disconnect();
      this.#chunk = NO_BYTES;
      this.#used = 0;
      this.#fetched = position;
      return;
    }
    while (this.position < position) {
      if (this.#held === 0 && !(await this.#fetch())) return;
      this.#used += Math.min(this.#held, position - this.position);
    }
  }

  /** Closes the connection; idempotent. A pending read rejects. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#disconnect();
  }

  /** Gets the next chunk. Returns false at the end of the file. */
  async #fetch(): Promise<boolean> {
    try {
      this.#connection ??= await this.#connect();
      const { done, value } = await this.#connection.chunks.next();
      this.#closing.signal.throwIfAborted();
      if (done !== true) {
        this.#chunk = value;
        this.#used = 0;
        this.#fetched += value.length;
        return true;
      }
    } catch (thrown) {
      const opened = this.#file !== undefined;
      await this.#disconnect();
      this.#closing.signal.throwIfAborted();
      const error = lossOf(thrown);
      throw opened ? brokenOff(error) : error;
    }
    const { totalBytes } = this;
    if (totalBytes === null || this.#fetched >= totalBytes) return false;
    throw new RoomcastError("FailedOperation.SourceTruncated", "The server ended its answer too early.");
  }

  async #connect(): Promise<Connection> {
    if (this.totalBytes !== null && this.#fetched >= this.totalBytes) {
      return { chunks: nothing(), controller: new AbortController() };
    }
    const controller = new AbortController();
    const signal = AbortSignal.any([this.#closing.signal, controller.signal]);
    const response = await this.#options.openRange(this.#fetched, signal);
    const problem = this.#problemOf(response);
    if (problem !== undefined) {
      controller.abort();
      throw problem;
    }
    this.#file ??= response;
    return { chunks: response.body[Symbol.asyncIterator](), controller };
  }

  #problemOf({ totalBytes }: RangeResponse): RoomcastError | undefined {
    if (totalBytes === 0) {
      return new RoomcastError("FailedOperation.SourceNotMedia", "The source is empty (0 bytes).");
    }
    const known = this.totalBytes;
    if (known === null || totalBytes === null || known === totalBytes) return undefined;
    return new RoomcastError(
      "FailedOperation.SourceLost",
      `The source changed while it was being played: it had ${known} bytes and has ${totalBytes} now. Start the push again to play the new file.`,
    );
  }

  async #disconnect(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection === undefined) return;
    connection.controller.abort();
    // An error of a body that was closed here does not matter.
    await connection.chunks.return?.().catch(() => undefined);
  }
}

async function* nothing(): AsyncGenerator<Buffer, undefined> {}

function withoutRanges(): RoomcastError {
  return new RoomcastError(
    "FailedOperation.SourceUnsupported",
    "The file must be read from the middle, and its server sends it only from its beginning (no HTTP ranges). Use a server that supports ranges, or put the index first (ffmpeg -movflags +faststart).",
  );
}

/** Reports a source that could be read before as lost instead of unreachable. Other errors are kept. */
function brokenOff(error: RoomcastError): RoomcastError {
  if (error.code !== "FailedOperation.SourceUnreachable") return error;
  return new RoomcastError("FailedOperation.SourceLost", `The source broke off: ${error.message}`, { cause: error });
}

function lossOf(thrown: unknown): RoomcastError {
  if (thrown instanceof RoomcastError) return thrown;
  return new RoomcastError("FailedOperation.SourceUnreachable", "The connection to the source was lost.", {
    cause: thrown,
  });
}
