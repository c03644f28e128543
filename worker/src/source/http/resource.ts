import type { IncomingHttpHeaders } from "node:http";
import { Socket } from "node:net";
import { RoomcastError, shownUrl, VERSION } from "@roomcast/shared";
import { settledWithin } from "../../base/settled-within.ts";
import type { Egress, EgressResponse, RequestCookies } from "../../egress/egress.ts";
import { decode, readContentEncoding } from "./content-coding.ts";
import type { FlowWatch } from "./flow-watch.ts";
import { openMultipart } from "./multipart-part.ts";
import { type AskedRange, type RangeAnswer, readRangeAnswer } from "./range-answer.ts";
import { readRetryAfter, UpstreamStatusError } from "./upstream-status-error.ts";

/** The User-Agent of every request to a source. Some servers refuse requests without one. */
export const USER_AGENT = `Roomcast/${VERSION}`;

/** A response whose body is being read. */
export interface Part {
  readonly url: string;
  readonly contentType: string | undefined;
  /** The byte of the resource with which `chunks` begins. It may lie before the requested start. */
  readonly from: number;
  /** The byte before which `chunks` ends, or null if the response does not say. */
  readonly to: number | null;
  readonly totalBytes: number | null;
  readonly seekable: boolean;
  /** True for a file, whose bytes can be read again. A stream without a length sends other bytes each time. */
  readonly lasting: boolean;
  readonly chunks: AsyncIterator<Buffer>;
  /** Ends the transfer. If `gotAll` says that the whole part arrived, the connection is kept for the next request. */
  close(gotAll: boolean): Promise<void>;
}

export interface ResourceOptions {
  readonly egress: Pick<Egress, "fetch">;
  readonly cookies: RequestCookies;
  readonly url: string;
}

export interface PartRequest {
  readonly start: number;
  readonly end: number | undefined;
  /**
   * True to send a `Range` header even if the part begins at byte 0, because the response then shows whether the server
   * supports ranges.
   */
  readonly named: boolean;
  readonly watch: FlowWatch;
  readonly signal: AbortSignal;
}

export interface End {
  readonly name: "end";
  readonly totalBytes: number | null;
}

/**
 * The largest number of requests for one part. A part may be requested with a range, again after an inspection of the
 * beginning, and without a range.
 */
const MAX_WAYS = 4;
/** The time for which `close` waits for the end of a response whose last byte has arrived, ms. */
const END_OF_ANSWER_MS = 50;
/** The range that is requested to see whether a resource is compressed. */
const BEGINNING = { start: 0, end: 1023, named: true };

/** One URL of a source. A resource requests parts, and remembers which kinds of request the server accepts. */
export class Resource {
  readonly #options: ResourceOptions;
  /** True after the resource could be read once. */
  #held = false;
  #refusesRanges = false;
  /** True if a `Content-Encoding` of this resource was correct, false if it was wrong, undefined until one was seen. */
  #compressed: boolean | undefined;

  constructor(options: ResourceOptions) {
    this.#options = options;
  }

  /**
   * Requests a part in a way that the server accepts.
   *
   * @returns `End` if the resource ends at or before `start`
   * @throws RoomcastError if the connection fails; UpstreamStatusError if the server refuses
   */
  async ask(request: PartRequest, tries = 1): Promise<Part | End> {
    if (tries > MAX_WAYS)
      throw cannotUse(this.#options.url, "its server does not answer requests for parts of the file correctly.");
    const named = !this.#refusesRanges && (request.named || request.start > 0);
    const asked: AskedRange = { start: request.start, end: request.end, named };
    const response = await this.#fetch(asked, request.signal);
    const header = (name: string) => first(response.headers[name]);
    const answer = readRangeAnswer({ status: response.status, header }, asked);
    if (answer.name === "bytes" || answer.name === "multipart") {
      this.#held = true;
      try {
        return (await this.#part(response, { answer, request })) ?? (await this.ask(request, tries + 1));
      } catch (thrown) {
        discard(response);
        throw thrown;
      }
    }
    discard(response);
    if (answer.name === "end") return answer;
    if (answer.name === "refused") throw this.#refusalOf(response);
    this.#refusesRanges = true;
    return await this.ask(request, tries + 1);
  }

  async #fetch(asked: AskedRange, signal: AbortSignal): Promise<EgressResponse> {
    const { egress, cookies, url } = this.#options;
    const range = asked.named ? { range: `bytes=${asked.start}-${asked.end ?? ""}` } : {};
    const headers = { "user-agent": USER_AGENT, accept: "*/*", "accept-encoding": "identity", ...range };
    const response = await egress.fetch(url, { headers, cookies, signal });
    // The body may fail while nobody reads it. The next read then reports the error.
    response.body.on("error", () => {});
    return response;
  }

  #refusalOf({ status, headers }: EgressResponse): UpstreamStatusError {
    const retryAfterMs = readRetryAfter(first(headers["retry-after"]), Date.now());
    return new UpstreamStatusError({ status, url: this.#options.url, retryAfterMs, heldBefore: this.#held });
  }

  /**
   * Makes the part of a response.
   *
   * @returns null if the part must be requested again, in a way that takes into account what this response showed
   */
  async #part(
    response: EgressResponse,
    { answer, request }: { answer: Extract<RangeAnswer, { name: "bytes" | "multipart" }>; request: PartRequest },
  ): Promise<Part | null> {
    const raw = watched(response.body, request.watch);
    const place = answer.name === "multipart" ? await openMultipart(raw) : { ...answer, chunks: raw };
    if (place === null) {
      this.#refusesRanges = true;
      discard(response);
      return null;
    }
    const lasting = place.totalBytes !== null || response.status === 206;
    const contentType = contentTypeOf(response.headers);
    const part = {
      url: response.url,
      contentType,
      lasting,
      close: (gotAll: boolean) => close(response, { chunks: raw, gotAll }),
    };
    const codings = this.#compressed === false ? [] : readContentEncoding(first(response.headers["content-encoding"]));
    const { from, to, totalBytes, chunks } = place;
    const seekable = !this.#refusesRanges && (answer.name === "multipart" || answer.seekable);
    if (codings.length === 0) return { ...part, from, to, totalBytes, seekable, chunks };
    if (response.status === 206 && from > 0) return await this.#lookAtBeginning(response, request);
    const decoded = await decode(chunks, codings);
    this.#compressed = decoded.truthful;
    if (!decoded.truthful) {
      return { ...part, from, to, totalBytes, seekable, chunks: decoded.chunks };
    }
    // Ranges count compressed bytes, while the caller's range counts decompressed ones, so only the whole body can be
    // used.
    this.#refusesRanges = true;
    if (response.status === 206 && (totalBytes === null || to !== totalBytes)) {
      discard(response);
      return null;
    }
    return { ...part, from: 0, to: null, totalBytes: null, seekable: false, chunks: decoded.chunks };
  }

  /**
   * Requests the beginning of the resource, because a part from the middle does not show whether it is compressed as
   * its header says.
   */
  async #lookAtBeginning(response: EgressResponse, { watch, signal }: PartRequest): Promise<null> {
    discard(response);
    if (this.#compressed === undefined) {
      const beginning = await this.ask({ ...BEGINNING, watch, signal });
      if ("close" in beginning) await beginning.close(false);
    }
    // If the beginning is compressed or names no coding, only a request without a range removes the doubt.
    if (this.#compressed !== false) this.#refusesRanges = true;
    return null;
  }
}

async function* watched(body: EgressResponse["body"], watch: FlowWatch): AsyncGenerator<Buffer, undefined> {
  // SAFETY: undici's body and a socket give Buffers unless an encoding is set.
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  try {
    for (let next = await watch.next(chunks); next.done !== true; next = await watch.next(chunks)) yield next.value;
  } finally {
    body.destroy();
  }
}

async function close(
  { body }: EgressResponse,
  { chunks, gotAll }: { readonly chunks: AsyncGenerator<Buffer>; readonly gotAll: boolean },
): Promise<void> {
  // If all bytes have arrived, the parser may still not have seen the end of the response. Destroying the body before
  // that would close the connection instead of keeping it for the next request.
  if (gotAll && !(body instanceof Socket)) {
    const end = chunks.next();
    end.catch(() => {});
    await settledWithin(end, END_OF_ANSWER_MS).catch(() => undefined);
  }
  body.destroy();
  // An error of a body that was closed here does not matter.
  await chunks.return(undefined).catch(() => undefined);
}

function discard(response: EgressResponse): void {
  response.body.destroy();
}

function first(value: IncomingHttpHeaders[string]): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** Returns the media type in lower case, without parameters. */
function contentTypeOf(headers: EgressResponse["headers"]): string | undefined {
  const type = first(headers["content-type"])?.split(";")[0]?.trim().toLowerCase();
  return type === "" ? undefined : type;
}

/**
 * Makes the error for a response that cannot be used, for example because it begins after the requested byte or belongs
 * to another version of the resource.
 */
export function cannotUse(url: string, why: string): RoomcastError {
  return new RoomcastError("FailedOperation.SourceLost", `${shownUrl(url)}: ${why}`);
}
