import type { IncomingHttpHeaders } from "node:http";
import { Socket } from "node:net";
import { RoomcastError, shownUrl } from "@roomcast/shared";
import { settledWithin } from "../../base/settled-within.ts";
import type { Egress, EgressResponse, RequestCookies } from "../../egress/egress.ts";
import { decode, readContentEncoding } from "./content-coding.ts";
import type { FlowWatch } from "./flow-watch.ts";
import { openMultipart } from "./multipart-part.ts";
import { type AskedRange, type RangeAnswer, readRangeAnswer } from "./range-answer.ts";
import { readRetryAfter, UpstreamStatusError } from "./upstream-status-error.ts";
import { USER_AGENT } from "./user-agent.ts";

/** One answer, the body of which is being read. */
export interface Part {
  readonly url: string;
  readonly contentType: string | undefined;
  /** The byte of the resource with which `chunks` begins; it may lie before what was asked for. */
  readonly from: number;
  /** The byte before which `chunks` ends; null: not said. */
  readonly to: number | null;
  readonly totalBytes: number | null;
  readonly seekable: boolean;
  /** It is a file: the same bytes come again. A stream without length gives something new each time. */
  readonly lasting: boolean;
  readonly chunks: AsyncIterator<Buffer>;
  /** Ends the transfer; where all of it came, its connection is kept for the next request. */
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
  /** Whether a range is named though it begins at the first byte: the answer tells whether the server knows ranges. */
  readonly named: boolean;
  readonly watch: FlowWatch;
  readonly signal: AbortSignal;
}

export interface End {
  readonly name: "end";
  readonly totalBytes: number | null;
}

/** With a range, after a look at the beginning, without a range. */
const MAX_WAYS = 4;
const LAST_MOMENT_MS = 50;
/** To know whether a part is compressed, the beginning is looked at. */
const BEGINNING = { start: 0, end: 1023, named: true };

/** What is known of one URL: asks for parts of it, and remembers how its server must be asked. */
export class Resource {
  readonly #options: ResourceOptions;
  /** It could be read before. */
  #held = false;
  #refusesRanges = false;
  /** Whether a `Content-Encoding` that it named was true; undefined: none was seen yet. */
  #compressed: boolean | undefined;

  constructor(options: ResourceOptions) {
    this.#options = options;
  }

  /**
   * Asks for a part, in whatever way its server takes.
   *
   * @returns `End` where there is nothing at `start` or behind it
   * @throws RoomcastError of the connection; UpstreamStatusError where the server refuses
   */
  async ask(request: PartRequest, tries = 1): Promise<Part | End> {
    if (tries > MAX_WAYS)
      throw cannotUse(this.#options.url, "its server answers requests for parts with something else.");
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
    // The body may fail while nobody reads it; the reader is told then.
    response.body.on("error", () => {});
    return response;
  }

  #refusalOf({ status, headers }: EgressResponse): UpstreamStatusError {
    const retryAfterMs = readRetryAfter(first(headers["retry-after"]), Date.now());
    return new UpstreamStatusError({ status, url: this.#options.url, retryAfterMs, heldBefore: this.#held });
  }

  /** @returns null where it must be asked for again, without a range or with what was learnt */
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
    // Ranges count the compressed bytes, which nobody asked for: only the whole of it can be used.
    this.#refusesRanges = true;
    if (response.status === 206 && (totalBytes === null || to !== totalBytes)) {
      discard(response);
      return null;
    }
    return { ...part, from: 0, to: null, totalBytes: null, seekable: false, chunks: decoded.chunks };
  }

  /** A part out of the middle does not show whether it is compressed as its header says. */
  async #lookAtBeginning(response: EgressResponse, { watch, signal }: PartRequest): Promise<null> {
    discard(response);
    if (this.#compressed === undefined) {
      const beginning = await this.ask({ ...BEGINNING, watch, signal });
      if ("close" in beginning) await beginning.close(false);
    }
    // Its server names a coding for parts alone, or not always: without ranges there is no doubt.
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
  // Who has the last byte has not seen yet that the answer ends there; a connection that is cut now is of no more use.
  if (gotAll && !(body instanceof Socket)) {
    const end = chunks.next();
    end.catch(() => {});
    await settledWithin(end, LAST_MOMENT_MS).catch(() => undefined);
  }
  body.destroy();
  // What a cancelled body still has to say is of no interest.
  await chunks.return(undefined).catch(() => undefined);
}

function discard(response: EgressResponse): void {
  response.body.destroy();
}

function first(value: IncomingHttpHeaders[string]): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** In lower case, without parameters. */
function contentTypeOf(headers: EgressResponse["headers"]): string | undefined {
  const type = first(headers["content-type"])?.split(";")[0]?.trim().toLowerCase();
  return type === "" ? undefined : type;
}

/** A part that begins behind what was asked for, or that is no part of what was known before. */
export function cannotUse(url: string, why: string): RoomcastError {
  return new RoomcastError("FailedOperation.SourceLost", `${shownUrl(url)}: ${why}`);
}
