import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { RoomcastError } from "@roomcast/shared";
import { type Logger, pino } from "pino";
import type { HttpAnswer, HttpClient, HttpDocument, HttpRequest } from "../http/http-client.ts";
import type { HlsSegment } from "./hls-segment.ts";
import type { HlsTimer } from "./hls-timer.ts";

export const silent: Logger = pino({ level: "silent" });

/** A clock that only `sleep` and `pass` move, at once. */
export class SleptClock implements HlsTimer {
  #nowMs = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  async sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    if (!signal.aborted) this.#nowMs += delayMs;
    await new Promise((resolve) => setImmediate(resolve));
  }

  pass(ms: number): void {
    this.#nowMs += ms;
  }
}

export type Answer = string | Buffer | number | ((request: IncomingMessage, response: ServerResponse) => void);

/** A server on loopback that answers each path with the body, the status or the function that a test gives. */
export class HlsServer {
  readonly #server: Server;
  readonly #answers = new Map<string, Answer>();
  /** The requested paths with their queries, in order. */
  readonly requests: string[] = [];

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#respond(request, response);
    });
  }

  static async start(): Promise<HlsServer> {
    const server = new HlsServer();
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  url(path: string): string {
    // SAFETY: a listening TCP server has such an address.
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}${path}`;
  }

  serve(path: string, answer: Answer): this {
    this.#answers.set(path, answer);
    return this;
  }

  /** Answers each request for a path with the result of a call. */
  serveLive(path: string, answer: () => Answer): this {
    return this.serve(path, (request, response) => {
      this.#send(answer(), request, response);
    });
  }

  countOf(path: string): number {
    return this.requests.filter((request) => request === path).length;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #respond(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? "/";
    this.requests.push(path);
    const answer = this.#answers.get(path) ?? this.#answers.get(path.replace(/\?.*/, "")) ?? 404;
    this.#send(answer, request, response);
  }

  #send(answer: Answer, request: IncomingMessage, response: ServerResponse): void {
    if (typeof answer === "function") return answer(request, response);
    if (typeof answer === "number") {
      response.writeHead(answer).end();
      return;
    }
    const whole = Buffer.from(answer);
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    if (range === null) {
      response.writeHead(200, { "content-length": whole.length }).end(whole);
      return;
    }
    const start = Number(range[1]);
    const end = range[2] === "" ? whole.length - 1 : Math.min(Number(range[2]), whole.length - 1);
    response
      .writeHead(206, { "content-range": `bytes ${start}-${end}/${whole.length}`, "content-length": end - start + 1 })
      .end(whole.subarray(start, end + 1));
  }
}

/** A minimal HTTP client, which does not retry. */
export class PlainHttpClient implements HttpClient {
  async open(url: string, { signal, range }: HttpRequest): Promise<HttpAnswer> {
    const headers: Record<string, string> =
      range === undefined ? {} : { range: `bytes=${range.start}-${range.end ?? ""}` };
    const response = await fetch(url, { signal, headers }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw new RoomcastError("FailedOperation.SourceUnreachable", "The connection failed.", { cause: error });
    });
    if (!response.ok) {
      await response.body?.cancel();
      throw statusError(response.status);
    }
    return {
      url: response.url,
      contentType: response.headers.get("content-type") ?? undefined,
      totalBytes: null,
      seekable: response.status === 206,
      body: chunks(response, signal),
    };
  }

  async read(url: string, request: HttpRequest & { readonly maxBytes: number }): Promise<HttpDocument> {
    const answer = await this.open(url, request);
    const parts: Buffer[] = [];
    for await (const chunk of answer.body) parts.push(chunk);
    const body = Buffer.concat(parts);
    if (body.length > request.maxBytes) throw new RoomcastError("FailedOperation.SourceUnsupported", "Too large.");
    return { url: answer.url, contentType: answer.contentType, body };
  }
}

async function* chunks(response: Response, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  if (response.body === null) return;
  try {
    for await (const chunk of response.body) yield Buffer.from(chunk);
  } catch (error) {
    signal.throwIfAborted();
    throw new RoomcastError("FailedOperation.SourceUnreachable", "The connection broke.", { cause: error });
  }
}

function statusError(status: number): RoomcastError {
  if (status === 404 || status === 410) return new RoomcastError("FailedOperation.SourceNotFound", "Not found (404).");
  if (status === 403) return new RoomcastError("FailedOperation.SourceForbidden", "Forbidden (403).");
  return new RoomcastError("FailedOperation.SourceUnreachable", `The server answered ${status}.`);
}

/** Reads a segment's body as text. */
export async function textOf(segment: HlsSegment): Promise<string> {
  const parts: Buffer[] = [];
  for await (const chunk of segment.open(new AbortController().signal)) parts.push(chunk);
  return Buffer.concat(parts).toString("latin1");
}

/** Reads a feed to its end, bodies included. */
export async function readAll(segments: AsyncIterable<HlsSegment>): Promise<{ text: string; segment: HlsSegment }[]> {
  const read: { text: string; segment: HlsSegment }[] = [];
  for await (const segment of segments) read.push({ text: await textOf(segment), segment });
  return read;
}
