import { RoomcastError, shownUrl } from "@roomcast/shared";
import { egressError } from "../../egress/egress-error.ts";
import { BadCodingError } from "./content-coding.ts";
import { type FlowFloor, FlowWatch, StalledError } from "./flow-watch.ts";
import type { HttpAnswer, HttpDocument, HttpRequest } from "./http-client.ts";
import { Patience } from "./patience.ts";
import { cannotUse, type End, type Part, type Resource } from "./resource.ts";
import { UpstreamStatusError } from "./upstream-status-error.ts";

export interface TransferOptions {
  readonly resource: Resource;
  readonly url: string;
  readonly request: HttpRequest;
  readonly patienceMs: number;
  readonly askedPatienceMs: number;
  readonly floor: FlowFloor | undefined;
  readonly now: () => number;
  /** `worked` is true once anything of the source could be read. Only then is a failure assumed to be temporary. */
  readonly source: { worked: boolean };
}

/** If a server does not support ranges, at most this many bytes are read and dropped to reach a part in the middle. */
const MAX_SKIP_BYTES = 8 * 1024 * 1024;

/**
 * Reads the bytes of one request over as many connections as are needed. After a connection breaks, the next request
 * begins at the byte where it stopped.
 */
export class Transfer {
  readonly #options: TransferOptions;
  readonly #patience: Patience;
  readonly #watch: FlowWatch;
  /** A controller that is aborted when the reader does not want the rest. */
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  /** The position of the next byte to give to the reader. */
  #at: number;
  #totalBytes: number | null = null;
  #part: Part | undefined;
  #atLastFailure: number;
  /**
   * True for a document. After a failure it is read again from its beginning, because the next response may contain a
   * newer version of it.
   */
  #restarts = false;

  constructor(options: TransferOptions) {
    this.#options = options;
    this.#patience = new Patience(options);
    this.#watch = new FlowWatch(options.floor, options.now);
    this.#signal = AbortSignal.any([options.request.signal, this.#stop.signal]);
    this.#at = options.request.range?.start ?? 0;
    this.#atLastFailure = this.#at;
  }

  /** Sends the first request and waits for its response. */
  async open(): Promise<HttpAnswer> {
    const part = await this.#connect();
    if ("name" in part) {
      // This result means that the resource ends at or before the requested start.
      const totalBytes = part.totalBytes ?? this.#at;
      return { url: this.#options.url, contentType: undefined, totalBytes, seekable: true, body: nothing() };
    }
    this.#part = part;
    const { url, contentType, seekable } = part;
    return { url, contentType, seekable, totalBytes: this.#totalBytes, body: this.#closable(this.#body()) };
  }

  /** Reads the whole document. If a connection breaks, the document is read again from its beginning. */
  async whole(maxBytes: number): Promise<HttpDocument> {
    this.#restarts = true;
    const start = this.#at;
    for (;;) {
      const { url, contentType, body } = await this.open();
      try {
        return { url, contentType, body: await joined(body, { url, maxBytes }) };
      } catch (thrown) {
        if (!(thrown instanceof BrokenOff)) throw thrown;
        await this.#recover(thrown.cause);
        this.#at = start;
        this.#totalBytes = null;
      }
    }
  }

  /**
   * Makes `return` end the transfer at once. A generator's own `return` would wait for a pending read, and would do
   * nothing at all if the generator was never started.
   */
  #closable(chunks: AsyncGenerator<Buffer, undefined>): AsyncIterable<Buffer> {
    const end = async (): Promise<IteratorResult<Buffer>> => {
      this.#stop.abort();
      await chunks.return(undefined).catch(() => undefined);
      await this.#part?.close(false);
      return { done: true, value: undefined };
    };
    return { [Symbol.asyncIterator]: () => ({ next: () => chunks.next(), return: end }) };
  }

  async *#body(): AsyncGenerator<Buffer, undefined> {
    while (!this.#complete) {
      const part = this.#part ?? (await this.#connect());
      this.#part = undefined;
      if ("name" in part) return;
      const startedAt = this.#at;
      let failure: unknown;
      try {
        yield* this.#give(part);
      } catch (thrown) {
        failure = thrown;
      } finally {
        await part.close(part.to !== null && this.#at >= part.to);
      }
      if (failure === undefined) {
        if (this.#complete || (part.to === null && this.#end === null)) return;
        // If the server sent all that it announced, and this was less than was requested, the rest is requested at
        // once.
        if (this.#at > startedAt && part.to !== null && this.#at >= part.to) continue;
        failure = new RoomcastError(
          "FailedOperation.SourceUnreachable",
          `${hostOf(part.url)} closed the connection before the end of its answer.`,
        );
      }
      if (this.#restarts) throw new BrokenOff("broken off", { cause: failure });
      this.#signal.throwIfAborted();
      if (!part.lasting && this.#at > startedAt) throw errorOf(failure, part.url);
      await this.#recover(failure);
    }
    // A response without bytes is complete before the loop begins.
    await this.#part?.close(true);
  }

  /** Yields the chunks of a part without the bytes before or after the requested range. */
  async *#give(part: Part): AsyncGenerator<Buffer, undefined> {
    let chunkAt = part.from;
    const end = Math.min(part.to ?? Number.POSITIVE_INFINITY, this.#end ?? Number.POSITIVE_INFINITY);
    while (this.#at < end) {
      const next = await part.chunks.next();
      if (next.done === true) return;
      const chunk = next.value.subarray(Math.max(0, this.#at - chunkAt), Math.max(0, end - chunkAt));
      chunkAt += next.value.length;
      if (chunk.length === 0) continue;
      this.#at += chunk.length;
      yield chunk;
    }
  }

  async #connect(): Promise<Part | End> {
    for (;;) {
      const sinceMs = this.#options.now();
      try {
        return await this.#connectOnce();
      } catch (thrown) {
        this.#watch.waited(this.#options.now() - sinceMs);
        await this.#recover(thrown);
      }
    }
  }

  async #connectOnce(): Promise<Part | End> {
    const { resource, request, url } = this.#options;
    const { range } = request;
    this.#signal.throwIfAborted();
    const named = range !== undefined;
    const wanted = { start: this.#at, end: range?.end, named };
    const part = await resource.ask({ ...wanted, watch: this.#watch, signal: this.#signal });
    try {
      this.#check(part, url);
    } catch (thrown) {
      if (!("name" in part)) await part.close(false);
      throw thrown;
    }
    return part;
  }

  /**
   * Checks that a part belongs to the same file as the earlier bytes, and contains the next byte. ETags are not
   * compared, because they differ between the nodes of a CDN.
   *
   * @throws RoomcastError otherwise
   */
  #check(part: Part | End, url: string): void {
    const known = this.#totalBytes;
    if (known !== null && part.totalBytes !== null && part.totalBytes !== known) {
      throw cannotUse(
        url,
        `the source changed while it was being played: it had ${known} bytes and has ${part.totalBytes} now. Start the push again to play the new file.`,
      );
    }
    this.#totalBytes ??= part.totalBytes;
    this.#options.source.worked = true;
    if ("name" in part) return;
    if (part.from > this.#at) throw cannotUse(url, "its server sent another part of the file than was requested.");
    if (this.#at - part.from <= MAX_SKIP_BYTES) return;
    throw new RoomcastError(
      "FailedOperation.SourceUnsupported",
      `${shownUrl(url)} must be read from the middle, and its server sends it only from its beginning (no HTTP ranges). Use a server that supports ranges, or put the index of an MP4 file first (ffmpeg -movflags +faststart).`,
    );
  }

  /** Waits for the next try. @throws the failure itself if another try cannot help or the retry time is over */
  async #recover(thrown: unknown): Promise<void> {
    const { url, source } = this.#options;
    this.#signal.throwIfAborted();
    const error = errorOf(thrown, url);
    const gainedBytes = this.#restarts ? 0 : this.#at - this.#atLastFailure;
    this.#atLastFailure = this.#at;
    if (this.#watch.failed(gainedBytes)) this.#patience.recovered();
    const refusal = error instanceof UpstreamStatusError ? error : undefined;
    const passing = refusal?.busy === true || (source.worked && (refusal?.passing ?? mayPass(error)));
    const askedMs = refusal?.retryAfterMs;
    if (!passing || !(await this.#patience.wait(askedMs, this.#signal))) throw error;
  }

  /** The byte before which the transfer ends, or null if it is unknown. */
  get #end(): number | null {
    const { range } = this.#options.request;
    const asked = range?.end === undefined ? null : range.end + 1;
    if (asked === null || this.#totalBytes === null) return asked ?? this.#totalBytes;
    return Math.min(asked, this.#totalBytes);
  }

  get #complete(): boolean {
    return this.#end !== null && this.#at >= this.#end;
  }
}

function mayPass(error: RoomcastError): boolean {
  return error.code === "FailedOperation.SourceUnreachable" || error.code === "FailedOperation.SourceTimeout";
}

function errorOf(thrown: unknown, url: string): RoomcastError {
  if (thrown instanceof StalledError) {
    return new RoomcastError("FailedOperation.SourceTimeout", `${hostOf(url)} sends almost no data.`, {
      cause: thrown,
    });
  }
  if (thrown instanceof BadCodingError) {
    const message = `${hostOf(url)} sends a compressed answer that is damaged or ends too early.`;
    return new RoomcastError("FailedOperation.SourceUnreachable", message, { cause: thrown });
  }
  return egressError(thrown, hostOf(url));
}

function hostOf(url: string): string {
  return URL.parse(url)?.host ?? "the source";
}

/** Thrown if a document could not be read to its end. The error's `cause` is the failure. */
class BrokenOff extends Error {
  override readonly name = "BrokenOff";
}

async function joined(
  chunks: AsyncIterable<Buffer>,
  { url, maxBytes }: { readonly url: string; readonly maxBytes: number },
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    parts.push(chunk);
    if (length <= maxBytes) continue;
    throw new RoomcastError(
      "FailedOperation.SourceUnsupported",
      `${shownUrl(url)} has more than ${maxBytes} bytes, which is too many for a playlist, key or other small file.`,
    );
  }
  return Buffer.concat(parts);
}

async function* nothing(): AsyncGenerator<Buffer, undefined> {}
