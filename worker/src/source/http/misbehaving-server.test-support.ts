import { createHash } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { parseAddressPolicy } from "@roomcast/shared";
import { Egress } from "../../egress/egress.ts";
import { SourceHttp, type SourceHttpOptions } from "./source-http.ts";

/** The size of the file that `sendPart` sends. */
export const FILE_BYTES = 300_000;
export const FILE = Buffer.from(Array.from({ length: FILE_BYTES }, (_, index) => (index * 7919) >> 3));

export interface NamedRange {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** An HTTP server whose answers a test chooses. Its host names are `media.example` and `cdn.example`. */
export class MisbehavingServer {
  answer: http.RequestListener = (_request, response) => response.end();
  readonly requests: http.IncomingMessage[] = [];
  readonly #server: net.Server;
  readonly #egress: Egress;

  private constructor(server: net.Server) {
    this.#server = server;
    this.#egress = new Egress({
      policy: parseAddressPolicy(["media.example", "cdn.example", "127.0.0.1"]),
      lookup: async () => [{ address: "127.0.0.1", family: 4 }],
      headersTimeoutMs: 1000,
      bodyTimeoutMs: 1000,
    });
  }

  static async start(): Promise<MisbehavingServer> {
    const server: http.Server = http.createServer((request, response) => {
      started.requests.push(request);
      started.answer(request, response);
    });
    const started = new MisbehavingServer(server);
    await once(server.listen(0, "127.0.0.1"), "listening");
    return started;
  }

  /** Starts a server that need not speak HTTP: the callback gets each connection and the head of its first request. */
  static async startRaw(serve: (socket: net.Socket, head: string) => void): Promise<MisbehavingServer> {
    const server = net.createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", (head) => serve(socket, head.toString("latin1")));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    return new MisbehavingServer(server);
  }

  get port(): number {
    // SAFETY: a server that listens on TCP has an AddressInfo.
    return (this.#server.address() as AddressInfo).port;
  }

  get origin(): string {
    return `http://media.example:${this.port}`;
  }

  get paths(): (string | undefined)[] {
    return this.requests.map(({ url }) => url);
  }

  get ranges(): (string | undefined)[] {
    return this.requests.map(({ headers }) => headers.range);
  }

  /** Returns a client for one source on this server. */
  client(options: Partial<SourceHttpOptions> = {}): SourceHttp {
    return new SourceHttp({ egress: this.#egress, patienceMs: 5000, ...options });
  }

  async stop(): Promise<void> {
    await this.#egress.close();
    const closed = once(this.#server, "close");
    this.#server.close();
    if (this.#server instanceof http.Server) this.#server.closeAllConnections();
    await closed;
  }
}

/** Returns the range that a request names, cut to the file's size, or undefined if it names none. */
export function namedRange(request: http.IncomingMessage, fileBytes = FILE_BYTES): NamedRange | undefined {
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  if (range === null) return undefined;
  return { from: Number(range[1]), to: range[2] === "" ? fileBytes : Math.min(fileBytes, Number(range[2]) + 1) };
}

/** Answers with a part of the file and correct headers; `headers` replaces some of them. */
export function sendPart(
  response: http.ServerResponse,
  { from, to }: NamedRange,
  headers: http.OutgoingHttpHeaders = {},
): void {
  const range = `bytes ${from}-${to - 1}/${FILE_BYTES}`;
  response.writeHead(206, { "content-range": range, "content-length": to - from, ...headers });
  response.end(FILE.subarray(from, to));
}

/** Returns a short text that identifies the bytes: vitest compares Buffers number by number, which takes seconds. */
export function digest(bytes: Buffer): string {
  return `${bytes.length} bytes, ${createHash("sha256").update(bytes).digest("hex")}`;
}

export async function bytesOf(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export const NEVER = new AbortController().signal;
