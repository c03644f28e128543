import { RoomcastError, shownUrl } from "@roomcast/shared";
import type { Logger } from "pino";
import type { HttpClient } from "../http/http-client.ts";
import type { HlsTimer } from "./hls-timer.ts";
import type { ByteRange } from "./media-playlist.ts";
import { retryDelayMs } from "./retry-delay.ts";

const PACE = { firstMs: 250, maxMs: 2000 };
/**
 * The number of times that a body may break off at the same byte. If it does so more often, it is taken to end there.
 */
const MAX_FRUITLESS = 3;

/** The services that the HLS reader uses. */
export interface HlsIo {
  readonly http: HttpClient;
  readonly clock: HlsTimer;
  readonly logger: Logger;
}

export interface TransferOptions {
  readonly signal: AbortSignal;
  /** The time for which the rest of a body that broke off is requested again, ms. */
  readonly patienceMs: number;
  /**
   * True to end a body early if it cannot be completed, as if the media were damaged; false to throw an error instead.
   */
  readonly mayCut: boolean;
  /** Called at the end of the body with the time spent waiting for the network, ms, and the number of bytes. */
  readonly onTransferred: (waitedMs: number, bytes: number) => void;
}

/** Reads one resource to its end. If the connection breaks, the transfer continues at the next byte. */
export class Transfer {
  readonly #url: string;
  readonly #range: ByteRange | null;
  readonly #options: TransferOptions;
  readonly #io: HlsIo;
  #chunks: AsyncIterator<Buffer> | undefined;
  #received = 0;
  #waitedMs = 0;
  #fruitless = 0;
  #failingSinceMs: number | undefined;

  constructor(url: string, range: ByteRange | null, options: TransferOptions, io: HlsIo) {
    this.#url = url;
    this.#range = range;
    this.#options = options;
    this.#io = io;
  }

  /** Sends a request, and resolves when its response has begun. @throws RoomcastError */
  async begin(): Promise<AsyncIterator<Buffer>> {
    const { signal } = this.#options;
    const start = (this.#range?.start ?? 0) + this.#received;
    const range = this.#range === null && start === 0 ? undefined : { start, end: this.#range?.end };
    const answer = await this.#timed(() => this.#io.http.open(this.#url, { signal, range }));
    this.#chunks = answer.body[Symbol.asyncIterator]();
    return this.#chunks;
  }

  /** Yields the bytes of the resource. @throws RoomcastError `SourceLost` */
  async *bytes(): AsyncGenerator<Buffer, void, undefined> {
    try {
      let chunk = await this.#next();
      while (chunk !== undefined) {
        yield chunk;
        chunk = await this.#next();
      }
      this.#options.onTransferred(this.#waitedMs, this.#received);
    } finally {
      await this.#chunks?.return?.();
    }
  }

  /** Returns the next chunk, or undefined at the end or if the rest cannot be read. */
  async #next(): Promise<Buffer | undefined> {
    for (;;) {
      try {
        // A range that has arrived completely needs no further request.
        if (this.#chunks === undefined && this.#isComplete()) return undefined;
        const chunks = this.#chunks ?? (await this.begin());
        const next = await this.#timed(() => chunks.next());
        if (next.done === true) return undefined;
        this.#received += next.value.length;
        this.#fruitless = 0;
        this.#failingSinceMs = undefined;
        return next.value;
      } catch (error) {
        this.#options.signal.throwIfAborted();
        if (!(await this.#mayContinue(RoomcastError.from(error)))) return undefined;
      }
    }
  }

  #isComplete(): boolean {
    return this.#range !== null && this.#received > this.#range.end - this.#range.start;
  }

  /**
   * Waits after a failure until the next try.
   *
   * @returns false if the bytes that have arrived are taken as the whole body
   * @throws RoomcastError if the body cannot be completed and must not be cut
   */
  async #mayContinue(failure: RoomcastError): Promise<boolean> {
    const { signal, patienceMs, mayCut } = this.#options;
    const { clock } = this.#io;
    const wasOpen = this.#chunks !== undefined;
    this.#chunks = undefined;
    this.#failingSinceMs ??= clock.nowMs();
    this.#fruitless += 1;
    const isShort = (wasOpen || !failure.retryable) && this.#fruitless > MAX_FRUITLESS;
    const isOver = clock.nowMs() - this.#failingSinceMs >= patienceMs;
    if (isShort || (isOver && mayCut)) {
      this.#io.logger.warn(
        { url: shownUrl(this.#url), bytes: this.#received, err: failure },
        "A segment could not be read to its end; the part that has arrived is played.",
      );
      return false;
    }
    if (isOver) {
      throw new RoomcastError("FailedOperation.SourceLost", `The source broke off. ${failure.message}`, {
        cause: failure,
      });
    }
    await clock.sleep(retryDelayMs(failure, this.#fruitless, PACE), signal);
    signal.throwIfAborted();
    return true;
  }

  /** Waits for the network and adds the time that this takes. The time between two reads does not count. */
  async #timed<Result>(wait: () => Promise<Result>): Promise<Result> {
    const fromMs = this.#io.clock.nowMs();
    try {
      return await wait();
    } finally {
      this.#waitedMs += this.#io.clock.nowMs() - fromMs;
    }
  }
}
