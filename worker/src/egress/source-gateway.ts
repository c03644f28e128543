import { randomBytes } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { RoomcastError } from "@roomcast/shared";
import { Backoff } from "../backoff.ts";
import type { Egress, EgressResponse, FetchOptions } from "./egress.ts";
import { egressError } from "./egress-error.ts";
import { contentTypeOf, PROXY_USER, passedHeaders, proxyPassword, upstreamHeaders } from "./gateway-headers.ts";
import { M3U8_MAGIC, rewriteM3u8 } from "./m3u8-rewriter.ts";
import { upstreamStatusError } from "./upstream-status-error.ts";

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
  /** The last HLS playlist said that it is complete (EXT-X-ENDLIST, RFC 8216, section 4.3.3.4). */
  readonly playlistEnded: boolean;
  /** Ends all transfers; idempotent. */
  close(): void;
}

interface Session {
  readonly token: string;
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
  playlistEnded: boolean;
}

/** Children of a playlist that are remembered; a live playlist names new ones for ever. */
const MAX_CHILDREN = 4096;
const MAX_PLAYLIST_BYTES = 4 * 1024 * 1024;
/** How a source that was lost is asked for again. Shorter than a room session waits for a silent source. */
const RECONNECT = { initialMs: 250, maxMs: 3000, budgetMs: 6000, healthyAfterMs: Number.POSITIVE_INFINITY };
/** A name that no resolver knows (RFC 6761, section 6.4): without the gateway as its proxy it leads nowhere. */
const ORIGIN = "http://source.invalid";

/**
 * A proxy on 127.0.0.1 through which ffmpeg and ffprobe read sources. They never learn the real URL, and what they need
 * to read through the gateway is in their environment, because arguments of a process are public on its machine: they
 * name a URL without a secret, and authenticate to the gateway as to an HTTP proxy (RFC 9110, section 11.7). Redirects
 * and the children of HLS playlists pass the egress guard.
 * A transfer that breaks upstream breaks here, and ffmpeg asks for the rest; where upstream cannot be reached then, the
 * gateway tries for a while before it says so.
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

  /** @param realUrl an http(s) URL; it is not connected to before somebody reads. */
  open(realUrl: string): GatewaySession {
    const session: Session = {
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
    const method = request.method === "HEAD" ? "HEAD" : "GET";
    const stop = new AbortController();
    response.once("close", () => stop.abort());
    const signal = AbortSignal.any([session.controller.signal, stop.signal]);
    let upstream: EgressResponse;
    try {
      upstream = await this.#fetch(session, realUrl, { method, headers: upstreamHeaders(request), signal });
    } catch (error) {
      if (signal.aborted) {
        response.destroy();
        return;
      }
      session.failure = RoomcastError.from(error);
      if (session.failure.code === "FailedOperation.SourceForbidden") session.refusal ??= session.failure;
      response.writeHead(502).end();
      return;
    }
    await this.#forward(session, upstream, { response, id: Number(id), realUrl, signal });
  }

  /** A source that gave something before is worth waiting for; one that never did fails at once. */
  async #fetch(
    session: Session,
    url: string,
    request: FetchOptions & { signal: AbortSignal },
  ): Promise<EgressResponse> {
    const backoff = new Backoff(RECONNECT);
    for (;;) {
      try {
        return await this.#egress.fetch(url, request);
      } catch (error) {
        const known = session.receivedBytes > 0 && error instanceof RoomcastError;
        const passing = known && error.code === "FailedOperation.SourceUnreachable" && !request.signal.aborted;
        const delayMs = passing ? backoff.failed(performance.now(), 0) : undefined;
        if (delayMs === undefined) throw error;
        await delay(delayMs, undefined, { signal: request.signal });
      }
    }
  }

  async #forward(
    session: Session,
    upstream: EgressResponse,
    to: { response: http.ServerResponse; id: number; realUrl: string; signal: AbortSignal },
  ): Promise<void> {
    const { response } = to;
    // A range behind the end (416) is how a reader finds the end, no fault of the source.
    const failure = upstream.status === 416 ? undefined : upstreamStatusError(upstream.status, to.realUrl);
    if (to.id === 0 && failure === undefined) {
      session.contentType = contentTypeOf(upstream);
      session.unbounded = upstream.headers["content-length"] === undefined;
    }
    if (failure !== undefined || upstream.status === 416) {
      if (failure !== undefined) session.failure = failure;
      upstream.body.once("error", () => {}).destroy();
      response.writeHead(upstream.status >= 400 ? upstream.status : 502).end();
      return;
    }
    try {
      await pipeline(this.#body(session, upstream, response), response);
      session.failure = undefined;
    } catch (error) {
      // ffmpeg going away, or a closed session, is no failure of the source.
      if (!to.signal.aborted) session.failure = egressError(error, new URL(upstream.url).host);
      response.destroy();
    }
  }

  /** The body as it is, or rewritten where it begins as a playlist does. Writes the head first. */
  async *#body(session: Session, upstream: EgressResponse, response: http.ServerResponse): AsyncGenerator<Buffer> {
    const chunks = upstream.body[Symbol.asyncIterator]();
    let first = Buffer.alloc(0);
    while (first.length < M3U8_MAGIC.length) {
      const next = await nextChunk(chunks);
      if (next === undefined) break;
      first = Buffer.concat([first, next]);
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
    response.writeHead(upstream.status, passedHeaders(upstream));
    for (let chunk: Buffer | undefined = first; chunk !== undefined; chunk = await nextChunk(chunks)) {
      session.receivedBytes += chunk.length;
      yield chunk;
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

async function nextChunk(chunks: AsyncIterator<unknown>): Promise<Buffer | undefined> {
  const { done, value } = await chunks.next();
  // SAFETY: the body of an undici response gives Buffers unless an encoding is set.
  return done === true ? undefined : (value as Buffer);
}

async function wholeText(first: Buffer, chunks: AsyncIterator<unknown>): Promise<string> {
  const parts = [first];
  let length = first.length;
  for (let chunk = await nextChunk(chunks); chunk !== undefined; chunk = await nextChunk(chunks)) {
    length += chunk.length;
    if (length > MAX_PLAYLIST_BYTES) {
      throw new RoomcastError("FailedOperation.SourceUnsupported", "The HLS playlist is larger than 4 MiB.");
    }
    parts.push(chunk);
  }
  return Buffer.concat(parts).toString("utf8");
}
