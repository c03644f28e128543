import { randomBytes } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import { RoomcastError } from "@roomcast/shared";
import type { Egress } from "../../egress/egress.ts";
import { answerHead, type GatewayRange, PROXY_USER, proxyPassword, readRange } from "./gateway-headers.ts";
import type { HttpAnswer, HttpClient } from "./http-client.ts";
import { M3U8_MAGIC, rewriteM3u8 } from "./m3u8-rewriter.ts";
import { SourceHttp } from "./source-http.ts";
import { UpstreamStatusError } from "./upstream-status-error.ts";

/** One source that ffmpeg and ffprobe may read under a loopback URL. */
export interface GatewaySession {
  /** `http://source.invalid/0/media.mp4`: fit for a command line, and of no use without `environment`. */
  readonly url: string;
  /**
   * What the reader's environment needs beside the URL. Holds the session's secret: only the worker's own user can read
   * the environment of its processes, while everybody can read their arguments.
   */
  readonly environment: Readonly<Record<string, string>>;
  /** Why the last request upstream failed; undefined where it went well, or none was made yet. */
  readonly failure: RoomcastError | undefined;
  /** Why the guard first refused an address that the source led to; it stays, whatever goes well later. */
  readonly refusal: RoomcastError | undefined;
  /** What upstream said the source itself is, in lower case, without parameters. */
  readonly contentType: string | undefined;
  /** Bytes of media that were handed on. */
  readonly receivedBytes: number;
  /** Upstream named no length of the source itself: a stream without end, or one that is made as it is sent. */
  readonly unbounded: boolean;
  /** Whether parts of the source itself can be asked for; undefined where nothing was read yet. */
  readonly seekable: boolean | undefined;
  /** The last HLS playlist said that it is complete (EXT-X-ENDLIST, RFC 8216, section 4.3.3.4). */
  readonly playlistEnded: boolean;
  /** Ends all transfers; idempotent. */
  close(): void;
}

interface Session {
  readonly token: string;
  readonly client: HttpClient;
  readonly controller: AbortController;
  /** URLs behind the numbers in the path; the source itself is 0. */
  readonly urls: Map<number, string>;
  readonly ids: Map<string, number>;
  nextId: number;
  failure: RoomcastError | undefined;
  refusal: RoomcastError | undefined;
  contentType: string | undefined;
  receivedBytes: number;
  unbounded: boolean;
  seekable: boolean | undefined;
  playlistEnded: boolean;
}

/** Children of a playlist that are remembered; a live playlist names new ones for ever. */
const MAX_CHILDREN = 4096;
const MAX_PLAYLIST_BYTES = 4 * 1024 * 1024;
/** Shorter than a room session waits for a silent source: the cause that is told is the connection, not the silence. */
const PATIENCE_MS = 6000;
/** A name that no resolver knows (RFC 6761, section 6.4): without the gateway as its proxy it leads nowhere. */
const ORIGIN = "http://source.invalid";

/**
 * A proxy on 127.0.0.1 through which ffmpeg and ffprobe read sources. They never learn the real URL, and what they need
 * to read through the gateway is in their environment, because arguments of a process are public on its machine: they
 * name a URL without a secret, and authenticate to the gateway as to an HTTP proxy (RFC 9110, section 11.7). Redirects
 * and the children of HLS playlists pass the egress guard. What breaks upstream is asked for again there, out of ffmpeg's
 * sight; a transfer that breaks here is one that cannot go on.
 */
export class SourceGateway {
  readonly #egress: Egress;
  readonly #server: http.Server;
  readonly #sessions = new Map<string, Session>();
  #port = 0;

  private constructor(egress: Egress) {
    this.#egress = egress;
    this.#server = http.createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  static async start(egress: Egress): Promise<SourceGateway> {
    const gateway = new SourceGateway(egress);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    gateway.#server.once("error", reject).listen(0, "127.0.0.1", resolve);
    await promise;
    // SAFETY: a server that listens on TCP has an AddressInfo.
    gateway.#port = (gateway.#server.address() as AddressInfo).port;
    return gateway;
  }

  /**
   * @param realUrl an http(s) URL; it is not connected to before somebody reads.
   * @param client how the source is read, where it was read before: with its cookies, and with what is known of its server
   */
  open(
    realUrl: string,
    client: HttpClient = new SourceHttp({ egress: this.#egress, patienceMs: PATIENCE_MS }),
  ): GatewaySession {
    const session: Session = {
      client,
      token: randomBytes(18).toString("base64url"),
      controller: new AbortController(),
      urls: new Map([[0, realUrl]]),
      ids: new Map([[realUrl, 0]]),
      nextId: 1,
      failure: undefined,
      refusal: undefined,
      contentType: undefined,
      receivedBytes: 0,
      unbounded: false,
      seekable: undefined,
      playlistEnded: false,
    };
    this.#sessions.set(session.token, session);
    return {
      url: urlOf(0, realUrl),
      environment: { http_proxy: `http://${PROXY_USER}:${session.token}@127.0.0.1:${this.#port}` },
      get failure() {
        return session.failure;
      },
      get refusal() {
        return session.refusal;
      },
      get contentType() {
        return session.contentType;
      },
      get receivedBytes() {
        return session.receivedBytes;
      },
      get unbounded() {
        return session.unbounded;
      },
      get seekable() {
        return session.seekable;
      },
      get playlistEnded() {
        return session.playlistEnded;
      },
      close: () => {
        this.#sessions.delete(session.token);
        session.controller.abort();
      },
    };
  }

  /** Idempotent; resolves when no connection is left. */
  async close(): Promise<void> {
    for (const session of this.#sessions.values()) session.controller.abort();
    this.#sessions.clear();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }

  async #answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const session = this.#sessions.get(proxyPassword(request) ?? "");
    if (session === undefined) {
      response.writeHead(407, { "proxy-authenticate": 'Basic realm="source"', "content-length": 0 }).end();
      return;
    }
    const id = /^\/(\d+)\//.exec(URL.parse(request.url ?? "", ORIGIN)?.pathname ?? "")?.[1];
    const realUrl = session.urls.get(Number(id));
    if (realUrl === undefined) {
      response.writeHead(404).end();
      return;
    }
    const stop = new AbortController();
    response.once("close", () => stop.abort());
    const signal = AbortSignal.any([session.controller.signal, stop.signal]);
    const range = readRange(request);
    try {
      const upstream = await session.client.open(realUrl, { signal, range: range ?? { start: 0 } });
      if (id === "0") {
        session.contentType = upstream.contentType;
        session.unbounded = upstream.totalBytes === null;
        session.seekable = upstream.seekable;
      }
      await pipeline(this.#body(session, upstream, { response, range }), response);
      session.failure = undefined;
    } catch (error) {
      // ffmpeg going away, or a closed session, is no failure of the source.
      if (!signal.aborted) this.#failed(session, RoomcastError.from(error), response);
      if (!response.writableEnded) response.destroy();
    }
  }

  #failed(session: Session, failure: RoomcastError, response: http.ServerResponse): void {
    session.failure = failure;
    if (failure.code === "FailedOperation.SourceForbidden") session.refusal ??= failure;
    if (response.headersSent || response.destroyed) return;
    response.writeHead(failure instanceof UpstreamStatusError ? Math.max(400, failure.status) : 502).end();
  }

  /** The body as it is, or rewritten where it begins as a playlist does. Writes the head first. */
  async *#body(
    session: Session,
    upstream: HttpAnswer,
    { response, range }: { readonly response: http.ServerResponse; readonly range: GatewayRange | undefined },
  ): AsyncGenerator<Buffer> {
    const chunks = upstream.body[Symbol.asyncIterator]();
    try {
      let first = Buffer.alloc(0);
      while (first.length < M3U8_MAGIC.length) {
        const next = await chunks.next();
        if (next.done === true) break;
        first = Buffer.concat([first, next.value]);
      }
      if (first.toString("latin1", 0, M3U8_MAGIC.length) === M3U8_MAGIC) {
        const text = await wholeText(first, chunks);
        session.playlistEnded = /^#EXT-X-ENDLIST\s*$/m.test(text);
        const rewritten = Buffer.from(rewriteM3u8(text, upstream.url, (url) => this.#child(session, url)));
        const type = "application/vnd.apple.mpegurl";
        response.writeHead(200, { "content-type": type, "content-length": rewritten.length });
        session.receivedBytes += rewritten.length;
        yield rewritten;
        return;
      }
      const { status, headers } = answerHead(upstream, range);
      response.writeHead(status, headers);
      if (first.length > 0) yield first;
      session.receivedBytes += first.length;
      for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
        session.receivedBytes += next.value.length;
        yield next.value;
      }
    } finally {
      await chunks.return?.();
    }
  }

  #child(session: Session, url: string): string {
    let id = session.ids.get(url);
    if (id === undefined) {
      id = session.nextId;
      session.nextId += 1;
    } else {
      // Named again: it moves to the end of those that are forgotten.
      session.ids.delete(url);
      session.urls.delete(id);
    }
    session.ids.set(url, id);
    session.urls.set(id, url);
    for (const [oldUrl, oldId] of session.ids) {
      if (session.ids.size <= MAX_CHILDREN) break;
      if (oldId === 0) continue;
      session.ids.delete(oldUrl);
      session.urls.delete(oldId);
    }
    return urlOf(id, url);
  }
}

/** The file's extension stays, because ffmpeg chooses some formats by it; its name, directory and query do not. */
function urlOf(id: number, realUrl: string): string {
  const name = URL.parse(realUrl)?.pathname.split("/").at(-1) ?? "";
  const extension = /\.[A-Za-z0-9]{1,5}$/.exec(name)?.[0] ?? "";
  return `${ORIGIN}/${id}/media${extension}`;
}

async function wholeText(first: Buffer, chunks: AsyncIterator<Buffer>): Promise<string> {
  const parts = [first];
  let length = first.length;
  for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
    length += next.value.length;
    if (length > MAX_PLAYLIST_BYTES) {
      throw new RoomcastError("FailedOperation.SourceUnsupported", "The HLS playlist is larger than 4 MiB.");
    }
    parts.push(next.value);
  }
  return Buffer.concat(parts).toString("utf8");
}
