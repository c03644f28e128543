import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { MediaTag } from "../media/media-tag.ts";
import type { Source, SourceEnd } from "./source.ts";

const run = promisify(execFile);

/** The way in which a file is served: completely, like a stream of unknown length, or with a fault. */
export type Fault =
  | "none"
  | "no-parts"
  | "stream"
  | "as-it-happens"
  | "drop-once"
  | "drop-always"
  | "hang"
  | "hang-half-way"
  | "cut-short";

/** Clips made by ffmpeg and an HTTP server on loopback that serves them, on request with a fault. */
export class MediaServer {
  /** The requests so far, with their headers. */
  readonly requests: { url: string; headers: http.IncomingHttpHeaders }[] = [];
  readonly #directory: string;
  readonly #files = new Map<string, { body: Buffer; type: string; fault: Fault; dropped: boolean }>();
  readonly #server = http.createServer((request, response) => this.#answer(request, response));

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async start(): Promise<MediaServer> {
    const server = new MediaServer(await mkdtemp(join(tmpdir(), "roomcast-sources-")));
    const { promise, resolve } = Promise.withResolvers<void>();
    server.#server.listen(0, "127.0.0.1", resolve);
    await promise;
    return server;
  }

  get port(): number {
    // SAFETY: a server that listens on TCP has an AddressInfo.
    return (this.#server.address() as AddressInfo).port;
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.port}/${path}`;
  }

  /** Makes a clip with ffmpeg; the arguments precede the output's name. */
  async make(name: string, ...args: string[]): Promise<Buffer> {
    const file = join(this.#directory, name);
    await run(process.env["FFMPEG_PATH"] ?? "ffmpeg", ["-v", "error", "-y", ...args, file], { cwd: this.#directory });
    return await readFile(file);
  }

  async made(name: string): Promise<Buffer> {
    return await readFile(join(this.#directory, name));
  }

  serve(name: string, body: Buffer | string, fault: Fault = "none", type = "application/octet-stream"): string {
    this.#files.set(name, { body: Buffer.from(body), type, fault, dropped: false });
    return this.url(name);
  }

  async stop(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
    await rm(this.#directory, { recursive: true, force: true });
  }

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://server");
    this.requests.push({ url: url.href, headers: request.headers });
    const file = this.#files.get(url.pathname.slice(1));
    if (file === undefined) {
      response.writeHead(404, { "content-type": "text/html" }).end("<html>no such file</html>");
      return;
    }
    if (file.fault === "hang") return;
    if (file.fault === "stream") {
      // The response has no length and no ranges.
      response.writeHead(200, { "content-type": file.type }).end(file.body);
      return;
    }
    if (file.fault === "as-it-happens") {
      response.writeHead(200, { "content-type": file.type });
      sendSlowly(response, file.body);
      return;
    }
    if (file.fault === "no-parts") {
      response.writeHead(200, { "content-type": file.type, "content-length": file.body.length }).end(file.body);
      return;
    }
    const half = Math.floor(file.body.length / 2);
    const body = file.fault === "cut-short" ? file.body.subarray(0, half) : file.body;
    const start = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? Number.NaN);
    const from = Number.isNaN(start) ? 0 : start;
    response.writeHead(Number.isNaN(start) ? 200 : 206, {
      "content-type": file.type,
      "content-length": Math.max(0, body.length - from),
      "accept-ranges": "bytes",
      ...(Number.isNaN(start) ? {} : { "content-range": `bytes ${from}-${body.length - 1}/${body.length}` }),
    });
    const drops = file.fault === "drop-always" || (file.fault === "drop-once" && !file.dropped);
    if ((drops || file.fault === "hang-half-way") && from < half) {
      response.write(body.subarray(from, half), () => {
        if (!drops) return;
        file.dropped = true;
        response.destroy();
      });
      return;
    }
    if (file.fault === "drop-always") response.destroy();
    else if (file.fault !== "hang-half-way") response.end(body.subarray(from));
  }
}

/**
 * Sends a twentieth of the file at once and then every quarter of a second, so that a file of 5 s arrives in real time.
 */
function sendSlowly(response: http.ServerResponse, body: Buffer): void {
  const part = Math.ceil(body.length / 20);
  let sent = 0;
  const send = () => {
    response.write(body.subarray(sent, sent + part));
    sent += part;
    if (sent < body.length) return;
    clearInterval(timer);
    response.end();
  };
  const timer = setInterval(send, 250);
  response.on("close", () => clearInterval(timer));
  send();
}

/** Resolves with all tags until the source's end. */
export async function readToEnd(source: Source): Promise<{ tags: MediaTag[]; end: SourceEnd }> {
  const tags: MediaTag[] = [];
  for (;;) {
    const tag = source.shift();
    if (tag !== undefined) {
      tags.push(tag);
      continue;
    }
    if (source.end !== undefined) return { tags, end: source.end };
    const { promise, resolve } = Promise.withResolvers<void>();
    source.onReadable = resolve;
    await promise;
  }
}

export function media(tags: readonly MediaTag[], kind: "audio" | "video"): MediaTag[] {
  return tags.filter((tag) => tag.kind === kind && !tag.sequenceHeader);
}
