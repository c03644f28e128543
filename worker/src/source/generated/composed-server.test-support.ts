import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import type { Composition } from "./composition.test-support.ts";

/** The behaviour of a server for one source. */
export type Manners = Pick<Composition, "ranges" | "gzip" | "redirect" | "cookie" | "token">;

interface ServedFile {
  readonly body: Buffer;
  readonly type: string;
  readonly manners: Manners;
}

const CAPPED_BYTES = 16_384;
const ALIGNED_BYTES = 4096;
export const TOKEN = "sig=aG%2Bk,b&e=99";
/** A `Location` with raw bytes of UTF-8, as careless servers send it; `http` takes them as Latin-1. */
const RAW_FOLDER = Buffer.from("/видео").toString("latin1");

/** A server on loopback for generated sources, each with its own behaviour. */
export class ComposedServer {
  readonly #files = new Map<string, ServedFile>();
  readonly #entries = new Map<string, Manners>();
  readonly #server = http.createServer((request, response) => this.#answer(request, response));

  static async start(): Promise<ComposedServer> {
    const server = new ComposedServer();
    await once(server.#server.listen(0, "127.0.0.1"), "listening");
    return server;
  }

  /** Adds a file. @param path decoded, beginning with a slash */
  serve(path: string, body: Buffer | string, manners: Manners, type = "application/octet-stream"): void {
    this.#files.set(path, { body: Buffer.from(body), type, manners });
  }

  /** Returns the address to open, which sets the cookie and redirects if the behaviour includes that. */
  entry(path: string, manners: Manners): string {
    // SAFETY: a server that listens on TCP has an AddressInfo.
    const { port } = this.#server.address() as AddressInfo;
    const query = manners.token ? `?${TOKEN}` : "";
    const entered = manners.redirect !== "none" || manners.cookie;
    if (entered) this.#entries.set(path, manners);
    return `http://127.0.0.1:${port}${entered ? "/enter" : ""}${encodePath(path)}${query}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await once(this.#server.close(), "close");
  }

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://server");
    const path = decodeURIComponent(url.pathname);
    const entered = path.startsWith("/enter/") ? path.slice("/enter".length) : undefined;
    const entry = entered === undefined ? undefined : this.#entries.get(entered);
    if (entered !== undefined && entry !== undefined) {
      this.#redirect(response, entered, url.search, entry);
      return;
    }
    const file = this.#files.get(path.replace(/^\/видео/, ""));
    if (file === undefined) {
      response.writeHead(404, { "content-type": "text/html" }).end("<html>not here</html>");
      return;
    }
    const { cookie, token } = file.manners;
    if ((cookie && request.headers.cookie !== "pass=1") || (token && url.search !== `?${TOKEN}`)) {
      response.writeHead(403, { "content-type": "text/html" }).end("<html>not for you</html>");
      return;
    }
    send(file, request.headers.range, response);
  }

  #redirect(response: http.ServerResponse, path: string, query: string, manners: Manners): void {
    const location = manners.redirect === "raw UTF-8" ? `${RAW_FOLDER}${encodePath(path)}` : encodePath(path);
    response.writeHead(302, {
      location: location + query,
      ...(manners.cookie ? { "set-cookie": "pass=1; Path=/" } : {}),
    });
    response.end();
  }
}

function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

function send({ body, type, manners }: ServedFile, range: string | undefined, response: http.ServerResponse): void {
  const { ranges, gzip } = manners;
  if (gzip) {
    const packed = gzipSync(body);
    response.writeHead(200, { "content-type": type, "content-encoding": "gzip", "content-length": packed.length });
    response.end(packed);
    return;
  }
  const asked = ranges === "ignored" ? null : /^bytes=(\d+)-(\d*)$/.exec(range ?? "");
  const common = { "content-type": type, ...(ranges === "ignored" || ranges === "not announced" ? {} : ACCEPTS) };
  if (asked === null) {
    response.writeHead(200, { ...common, "content-length": body.length }).end(body);
    return;
  }
  const wanted = Number(asked[1]);
  if (wanted >= body.length) {
    response.writeHead(416, { "content-range": `bytes */${body.length}` }).end();
    return;
  }
  const from = ranges === "aligned" ? wanted - (wanted % ALIGNED_BYTES) : wanted;
  const wholeTo = asked[2] === "" ? body.length : Math.min(body.length, Number(asked[2]) + 1);
  const to = ranges === "capped" ? Math.min(wholeTo, from + CAPPED_BYTES) : wholeTo;
  const unit = ranges === "odd unit" ? "Bytes=" : "bytes ";
  response.writeHead(206, {
    ...common,
    "content-range": `${unit}${from}-${to - 1}/${body.length}`,
    "content-length": to - from,
  });
  response.end(body.subarray(from, to));
}

const ACCEPTS = { "accept-ranges": "bytes" };
