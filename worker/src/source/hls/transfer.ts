import { RoomcastError, shownUrl } from "@roomcast/shared";
import type { Logger } from "pino";
import type { HttpClient } from "../http/http-client.ts";
import type { HlsClock } from "./hls-clock.ts";
import type { ByteRange } from "./media-playlist.ts";
import { retryDelayMs } from "./retry-delay.ts";

const PACE = { firstMs: 250, maxMs: 2000 };
/** A body that breaks off again and again at the same byte is that short. */
const MAX_FRUITLESS = 3;

/** How the HLS reader meets the world. */
export interface HlsIo {
  readonly http: HttpClient;
  readonly clock: HlsClock;
  readonly logger: Logger;
}

export interface TransferOptions {
  readonly signal: AbortSignal;
  /** How long a body that broke off is tried again, ms. */
  readonly patienceMs: number;
  /** Whether a body that cannot be completed ends early, as damaged media do, instead of throwing. */
  readonly mayCut: boolean;
  /** Gets how long the network let us wait for how many bytes, once the body has come. */
  readonly onTransferred: (waitedMs: number, bytes: number) => void;
}

/** Reads one resource to its end, and goes on at the next byte where the connection breaks. */
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

  /** Resolves when the answer has begun. @throws RoomcastError */
  async begin(): Promise<AsyncIterator<Buffer>> {
    const { signal } = this.#options;
    const start = (this.#range?.start ?? 0) + this.#received;
    const range = this.#range === null && start === 0 ? undefined : { start, end: this.#range?.end };
    const answer = await this.#timed(() => this.#io.http.open(this.#url, { signal, range }));
    this.#chunks = answer.body[Symbol.asyncIterator]();
    return this.#chunks;
  }

  /** @throws RoomcastError `SourceLost` */
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

  /** undefined: that was all, or all that is to be had. */
  async #next(): Promise<Buffer | undefined> {
    for (;;) {
      try {
        // A range that has come in full needs no other request.
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
        if (!(await this.#mayGoOn(RoomcastError.from(error)))) return undefined;
      }
    }
  }

  #isComplete(): boolean {
    return this.#range !== null && this.#received > this.#range.end - this.#range.start;
  }

  /** After a failure: waits a little; false: what has come is to be taken as the whole. @throws RoomcastError */
  async #mayGoOn(failure: RoomcastError): Promise<boolean> {
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
        "A segment could not be read to its end; what has come of it is played.",
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

  /** The time that the network takes counts, not the time for which the reader leaves the body alone. */
  async #timed<Result>(wait: () => Promise<Result>): Promise<Result> {
    const fromMs = this.#io.clock.nowMs();
    try {
      return await wait();
    } finally {
      this.#waitedMs += this.#io.clock.nowMs() - fromMs;
    }
  }
}
