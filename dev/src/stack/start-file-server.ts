import { once } from "node:events";
import { createReadStream, readdirSync } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { basename, dirname, extname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** The fault of a served file. */
export type FileFault =
  /** The answer is this status, without the file. */
  | { readonly name: "status"; readonly status: 403 | 404 | 500 | 503 }
  /** The request is taken and never answered. */
  | { readonly name: "hang" }
  /** Nothing after this byte of the file comes, and the connection stays open. */
  | { readonly name: "stall"; readonly afterBytes: number }
  /** The connection is cut at this byte of the file, `times` times (default: always). */
  | { readonly name: "drop"; readonly afterBytes: number; readonly times?: number }
  /** The file ends here, as if it had been uploaded half. */
  | { readonly name: "truncate"; readonly afterBytes: number }
  | { readonly name: "slow"; readonly bytesPerSecond: number };

export interface FileServerHandle {
  /** `http://127.0.0.1:<port>`. */
  readonly origin: string;
  /** Serves a file of this machine and answers its URL, a new one at each call. */
  serve(filePath: string, fault?: FileFault): string;
  /** The same for a playlist: the other files of its folder are served beside it. */
  servePlaylist(filePath: string): string;
  /** Returns the number of requests for a URL that `serve` returned. */
  requests(url: string): number;
  /** Idempotent; cuts what is still being read. */
  stop(): Promise<void>;
}

interface ServedFile {
  readonly filePath: string;
  readonly fault: FileFault | undefined;
  requests: number;
  drops: number;
}

interface ByteRange {
  readonly start: number;
  /** Inclusive. */
  readonly end: number;
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".mp4": "video/mp4",
  ".flv": "video/x-flv",
  ".ts": "video/mp2t",
  ".mp3": "audio/mpeg",
  ".m3u8": "application/vnd.apple.mpegurl",
};

/** Serves files over HTTP with ranges on a free port of the loopback interface, and misbehaves on request. */
export async function startFileServer(): Promise<FileServerHandle> {
  const files = new Map<string, ServedFile>();
  let served = 0;
  const server = createServer((request, response) => {
    const file = files.get(URL.parse(request.url ?? "", "http://localhost")?.pathname ?? "");
    if (file === undefined) {
      response.writeHead(404).end();
      return;
    }
    file.requests += 1;
    // A reader that goes away, or a file that cannot be read, ends this connection and nothing else.
    answer(file, request, response).catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("A TCP server has no port.");
  const origin = `http://127.0.0.1:${address.port}`;
  let stopping: Promise<void> | undefined;
  return {
    origin,
    serve: (filePath, fault) => {
      served += 1;
      const path = `/${served}/${encodeURIComponent(basename(filePath))}`;
      files.set(path, { filePath, fault, requests: 0, drops: 0 });
      return `${origin}${path}`;
    },
    servePlaylist: (filePath) => {
      served += 1;
      const folder = dirname(filePath);
      for (const name of readdirSync(folder)) {
        const path = `/${served}/${encodeURIComponent(name)}`;
        files.set(path, { filePath: join(folder, name), fault: undefined, requests: 0, drops: 0 });
      }
      return `${origin}/${served}/${encodeURIComponent(basename(filePath))}`;
    },
    requests: (url) => files.get(new URL(url).pathname)?.requests ?? 0,
    stop: () => (stopping ??= close(server)),
  };
}

async function close(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  await once(server, "close");
}

async function answer(file: ServedFile, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { fault } = file;
  if (fault?.name === "hang") return;
  if (fault?.name === "status") {
    response.writeHead(fault.status).end();
    return;
  }
  const { size: sizeOnDisk } = await stat(file.filePath);
  const size = fault?.name === "truncate" ? Math.min(sizeOnDisk, fault.afterBytes) : sizeOnDisk;
  const range = readRange(request.headers.range, size);
  if (range === "unsatisfiable") {
    response.writeHead(416, { "Content-Range": `bytes */${size}` }).end();
    return;
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  response.writeHead(range === undefined ? 200 : 206, {
    "Content-Type": CONTENT_TYPES[extname(file.filePath)] ?? "application/octet-stream",
    "Content-Length": end - start + 1,
    "Accept-Ranges": "bytes",
    ...(range === undefined ? {} : { "Content-Range": `bytes ${start}-${end}/${size}` }),
  });
  if (request.method === "HEAD" || end < start) {
    response.end();
    return;
  }
  await send(file, { start, end }, response);
}

async function send(file: ServedFile, { start, end }: ByteRange, response: ServerResponse): Promise<void> {
  const { fault } = file;
  const drops = fault?.name === "drop" && file.drops < (fault.times ?? Number.POSITIVE_INFINITY);
  const limit = drops || fault?.name === "stall" ? Math.min(end, fault.afterBytes - 1) : end;
  if (limit >= start) {
    for await (const chunk of createReadStream(file.filePath, { start, end: limit })) {
      if (!response.write(chunk)) await drained(response);
      if (response.destroyed) return;
      // SAFETY: a stream without an encoding gives Buffers.
      if (fault?.name === "slow") await delay(((chunk as Buffer).length / fault.bytesPerSecond) * 1000);
    }
  }
  if (limit === end) {
    response.end();
  } else if (drops) {
    file.drops += 1;
    response.destroy();
  }
}

/** Resolves also when the reader has gone. */
async function drained(response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  await Promise.race([
    once(response, "drain", { signal: gone.signal }),
    once(response, "close", { signal: gone.signal }),
  ]);
  gone.abort();
}

/** RFC 9110, section 14.1.2, single ranges only. Returns undefined if no range was requested, or one that may be ignored. */
function readRange(header: string | undefined, size: number): ByteRange | "unsatisfiable" | undefined {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header ?? "") ?? [];
  if (first === undefined || last === undefined || (first === "" && last === "")) return undefined;
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === "" || last === "" ? size - 1 : Math.min(Number(last), size - 1);
  return start >= size || end < start ? "unsatisfiable" : { start, end };
}
