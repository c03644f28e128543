import { setTimeout as delay } from "node:timers/promises";
import { RoomcastError } from "@roomcast/shared";
import { Backoff } from "../../backoff.ts";

/** An answer to a request for a part of a file. */
export interface RangeResponse {
  /** Where the body begins: as asked, or 0 where the server does not know ranges. */
  readonly startByte: number;
  /** Size of the whole file; null: not said. */
  readonly totalBytes: number | null;
  /** Whether other parts can be asked for. */
  readonly seekable: boolean;
  /** ETag or Last-Modified; changes with the file. */
  readonly validator: string | null;
  /** Must honour backpressure; fails with a RoomcastError, also where nothing came for too long while it was read. */
  readonly body: AsyncIterable<Buffer>;
}

/**
 * Asks for a file from a byte to its end. The body lives until it is read to its end, its iterator is returned, or the
 * signal aborts.
 *
 * @throws RoomcastError: `SourceUnreachable` and `SourceTimeout` are tried again, all others are final.
 */
export type OpenRange = (startByte: number, signal: AbortSignal) => Promise<RangeResponse>;

export interface RangeStreamOptions {
  readonly openRange: OpenRange;
  readonly startByte?: number;
  /** How long a lost connection is dialled again, ms. */
  readonly reconnectBudgetMs?: number;
}

interface Connection {
  readonly chunks: AsyncIterator<Buffer>;
  readonly controller: AbortController;
}

/** Reading on over so many bytes is cheaper than a new request. */
const READ_OVER_BYTES = 256 * 1024;
/** Shorter than a room session waits for a silent source: the cause that is told is the connection, not the silence. */
const RECONNECT_BUDGET_MS = 6000;
const NO_BYTES = Buffer.alloc(0);

/**
 * A file on a server as one stream of bytes that is read forwards. A connection that is lost (dropped by the network,
 * or by a server that lost patience while nobody read) is opened again where it stopped.
 */
export class RangeStream {
  readonly #options: RangeStreamOptions;
  readonly #closing = new AbortController();
  readonly #backoff: Backoff;
  #connection: Connection | undefined;
  #chunk: Buffer = NO_BYTES;
  /** Of the first byte that no chunk has brought yet. */
  #fetched: number;
  #file: Pick<RangeResponse, "totalBytes" | "seekable" | "validator"> | undefined;

  constructor(options: RangeStreamOptions) {
    this.#options = options;
    this.#fetched = options.startByte ?? 0;
    const budgetMs = options.reconnectBudgetMs ?? RECONNECT_BUDGET_MS;
    this.#backoff = new Backoff({ initialMs: 200, maxMs: 4000, budgetMs, healthyAfterMs: Number.POSITIVE_INFINITY });
  }

  /** Where the next byte is read from. */
  get position(): number {
    return this.#fetched - this.#chunk.length;
  }

  /** null: not said by the server, or not asked yet. */
  get totalBytes(): number | null {
    return this.#file?.totalBytes ?? null;
  }

  get seekable(): boolean {
    return this.#file?.seekable ?? false;
  }

  /** A second stream over the same file; that it is the same is checked. */
  fork(startByte: number): RangeStream {
    const twin = new RangeStream({ ...this.#options, startByte });
    twin.#file = this.#file;
    return twin;
  }

  /**
   * Fills `target` from `at` to its end.
   *
   * @returns false where the file ends before that
   */
  async readInto(target: Buffer, at = 0): Promise<boolean> {
    this.#closing.signal.throwIfAborted();
    let filled = at;
    while (filled < target.length) {
      if (this.#chunk.length === 0 && !(await this.#fetch())) return false;
      const copied = this.#chunk.copy(target, filled);
      this.#chunk = this.#chunk.subarray(copied);
      filled += copied;
    }
    return true;
  }

  /** Goes to a position: over what lies between by reading it, or by a new request where that is far or behind. */
  async seek(position: number): Promise<void> {
    const over = position - this.position;
    if (over < 0 || (over > this.#chunk.length + READ_OVER_BYTES && this.seekable)) {
      if (!this.seekable) throw new RoomcastError("FailedOperation.SourceLost", "The server cannot send parts of it.");
      await this.#disconnect();
      this.#chunk = NO_BYTES;
      this.#fetched = position;
      return;
    }
    while (this.position < position) {
      if (this.#chunk.length === 0 && !(await this.#fetch())) return;
      this.#chunk = this.#chunk.subarray(Math.min(this.#chunk.length, position - this.position));
    }
  }

  /** Idempotent. A read that waits rejects. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#disconnect();
  }

  /** Brings the next chunk; false at the end of the file. */
  async #fetch(): Promise<boolean> {
    for (;;) {
      try {
        return await this.#fetchOnce();
      } catch (thrown) {
        await this.#disconnect();
        this.#closing.signal.throwIfAborted();
        const error = lossOf(thrown);
        const waitMs = this.#mayRetry(error) ? this.#backoff.failed(performance.now(), 0) : undefined;
        if (waitMs === undefined) throw this.#file === undefined ? error : brokenOff(error);
        await delay(waitMs, undefined, { signal: this.#closing.signal });
      }
    }
  }

  async #fetchOnce(): Promise<boolean> {
    this.#connection ??= await this.#connect();
    const { done, value } = await this.#connection.chunks.next();
    this.#closing.signal.throwIfAborted();
    if (done !== true) {
      this.#chunk = value;
      this.#fetched += value.length;
      this.#backoff.reset();
      return true;
    }
    const { totalBytes } = this;
    if (totalBytes === null || this.#fetched >= totalBytes) return false;
    throw new RoomcastError("FailedOperation.SourceUnreachable", "The server ended its answer too early.");
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
      throw new RoomcastError("FailedOperation.SourceLost", problem);
    }
    this.#file ??= response;
    return { chunks: response.body[Symbol.asyncIterator](), controller };
  }

  #problemOf(response: RangeResponse): string | undefined {
    const known = this.#file;
    const changed =
      known !== undefined && (known.validator !== response.validator || known.totalBytes !== response.totalBytes);
    if (changed) return "The source changed while it was being played; start again with what it is now.";
    if (response.startByte === this.#fetched) return undefined;
    return "The connection to the source was lost, and its server cannot go on in the middle (no HTTP ranges).";
  }

  /** The first request is not repeated: whoever opens a source wants to know at once. */
  #mayRetry(error: RoomcastError): boolean {
    const passing = ["FailedOperation.SourceUnreachable", "FailedOperation.SourceTimeout"].includes(error.code);
    return passing && this.#file !== undefined && (this.seekable || this.#fetched === 0);
  }

  async #disconnect(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection === undefined) return;
    connection.controller.abort();
    // What a cancelled body still has to say is of no interest.
    await connection.chunks.return?.().catch(() => undefined);
  }
}

async function* nothing(): AsyncGenerator<Buffer, undefined> {}

/** What had been reached is lost, not unreachable; anything more precise is kept. */
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
