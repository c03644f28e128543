import { execFile } from "node:child_process";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { parseAddressPolicy } from "@roomcast/shared";
import { Egress } from "../../egress/egress.ts";
import { parseTagBody } from "../../media/flv/flv-tag.ts";
import type { MediaTag } from "../../media/media-tag.ts";
import type { HttpClient } from "../http/http-client.ts";
import { SourceHttp } from "../http/source-http.ts";
import type { Source } from "../source.ts";
import type { FragmentFile } from "./find-fragment.ts";
import { type OpenMp4Options, type OpenMp4Result, openMp4Source } from "./open-mp4-source.ts";
import type { OpenRange } from "./range-stream.ts";
import { WorkSlices } from "./work-slices.ts";

const run = promisify(execFile);

export async function ffmpeg(args: readonly string[]): Promise<Buffer> {
  const options = { encoding: "buffer", maxBuffer: 64 * 1024 * 1024 } as const;
  const { stdout } = await run("ffmpeg", ["-v", "error", "-y", ...args], options);
  return stdout;
}

/** ffmpeg options for small video that a room takes without encoding: no B-frames, one keyframe per second. */
export const COPYABLE_VIDEO = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -bf 0 -g 25".split(" ");
export const PICTURE = ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=2"];
export const TONE = ["-f", "lavfi", "-i", "sine=r=48000:d=2"];

/** Reads the tags of an FLV file that ffmpeg wrote (Adobe FLV 10.1, E.3 and E.4.1), without script tags. */
export function tagsOfFlv(flv: Buffer): MediaTag[] {
  const tags: MediaTag[] = [];
  for (let at = 13; at + 11 <= flv.length; ) {
    const type = flv.readUInt8(at);
    const size = flv.readUIntBE(at + 1, 3);
    const timestampMs = (flv.readUInt8(at + 7) << 24) | flv.readUIntBE(at + 4, 3);
    const payload = flv.subarray(at + 11, at + 11 + size);
    const tag = type === 18 ? null : parseTagBody(type === 9 ? "video" : "audio", timestampMs, payload);
    if (tag !== null) tags.push(tag);
    at += 11 + size + 4;
  }
  return tags;
}

/** Takes all tags until the source ends. */
export async function drain(source: Source): Promise<MediaTag[]> {
  const tags: MediaTag[] = [];
  for (;;) {
    const tag = source.shift();
    if (tag !== undefined) tags.push(tag);
    else if (source.end !== undefined) return tags;
    else {
      await new Promise<void>((resolve) => {
        source.onReadable = resolve;
      });
    }
  }
}

/** A file in memory that counts reads and bytes. */
export class CountedFile implements FragmentFile {
  readonly seekable = true;
  bytesRead = 0;
  /** The number of reads. */
  reads = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get totalBytes(): number {
    return this.#bytes.length;
  }

  fork(startByte: number) {
    let position = startByte;
    return {
      get position() {
        return position;
      },
      readInto: async (target: Buffer, at = 0): Promise<boolean> => {
        this.reads += 1;
        const copied = this.#bytes.copy(target, at, position);
        position += copied;
        this.bytesRead += copied;
        return copied === target.length - at;
      },
      seek: async (to: number): Promise<void> => {
        position = to;
      },
      close: async (): Promise<void> => {},
    };
  }
}

/** Counts the work, the pauses, and the longest piece of work between two pauses. */
export class CountedSlices extends WorkSlices {
  units = 0;
  longest = 0;
  pauses = 0;
  #piece = 0;

  constructor() {
    super(() => Promise.resolve());
  }

  override spent(units: number): boolean {
    this.units += units;
    this.#piece += units;
    this.longest = Math.max(this.longest, this.#piece);
    return super.spent(units);
  }

  override async pause(): Promise<void> {
    this.pauses += 1;
    this.#piece = 0;
    await super.pause();
  }
}

export interface FileOptions extends Partial<OpenMp4Options> {
  /** The time for which a failing request is tried again, ms. */
  readonly patienceMs?: number;
}

/** Requests a file from a byte to its end. */
function httpRange(http: Pick<HttpClient, "open">, url: string): OpenRange {
  return async (startByte, signal) => await http.open(url, { signal, range: { start: startByte } });
}

/** A file server that can misbehave as a test needs. */
export class FileServer {
  file: Buffer = Buffer.alloc(0);
  ranges = true;
  etag = '"1"';
  /** Statuses to answer with instead of the file. Each is used once. */
  readonly statuses: number[] = [];
  /** Body sizes after which the next answers are cut. Each is used once. */
  readonly cuts: number[] = [];
  /** The start bytes of the requests so far. */
  readonly requests: number[] = [];
  /** The number of body bytes that sources have read. */
  bytesRead = 0;
  readonly #server: Server;
  readonly #egress = new Egress({ policy: parseAddressPolicy(["127.0.0.1"]), bodyTimeoutMs: 5000 });

  private constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(): Promise<FileServer> {
    const server = new FileServer();
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): string {
    // SAFETY: a server that listens on TCP has an AddressInfo.
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/clip.mp4?key=secret`;
  }

  open({ patienceMs, ...options }: FileOptions = {}): Promise<OpenMp4Result> {
    const open = httpRange(new SourceHttp({ egress: this.#egress, patienceMs }), this.url);
    const openRange: typeof open = async (startByte, signal) => {
      const response = await open(startByte, signal);
      return { ...response, body: this.#counted(response.body) };
    };
    return openMp4Source({ openRange, startAtMs: 0, signal: new AbortController().signal, ...options });
  }

  /** Opens the file like `open`, and throws if this process does not play it. */
  async openSource(options: FileOptions = {}): Promise<Source> {
    const result = await this.open(options);
    if (result.name !== "opened") throw new Error(`not opened: ${JSON.stringify(result)}`);
    return result.source;
  }

  openConnections(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
    });
  }

  dropConnections(): void {
    this.#server.closeAllConnections();
  }

  async stop(): Promise<void> {
    await this.#egress.close();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async *#counted(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer, undefined> {
    for await (const chunk of body) {
      this.bytesRead += chunk.length;
      yield chunk;
    }
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const asked = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    this.requests.push(asked);
    const status = this.statuses.shift();
    if (status !== undefined) {
      response.writeHead(status).end("no");
      return;
    }
    const start = this.ranges ? asked : 0;
    const total = this.file.length;
    if (start > total) {
      response.writeHead(416).end();
      return;
    }
    response.writeHead(this.ranges ? 206 : 200, {
      etag: this.etag,
      "content-length": total - start,
      ...(this.ranges ? { "content-range": `bytes ${start}-${total - 1}/${total}` } : {}),
    });
    const cut = this.cuts.shift();
    if (cut === undefined) response.end(this.file.subarray(start));
    else response.write(this.file.subarray(start, start + cut), () => response.destroy());
  }
}
