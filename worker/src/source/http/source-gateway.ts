import { randomBytes } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import { RoomcastError } from "@roomcast/shared";
import type { Egress } from "../../egress/egress.ts";
import { answerHead, PROXY_USER, proxyPassword, readRange } from "./gateway-headers.ts";
import type { HttpClient } from "./http-client.ts";
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
  /** The source is an HLS playlist: ffmpeg is not given it, and it must be played by the loader for playlists. */
  readonly isPlaylist: boolean;
  /** Ends all transfers; idempotent. */
  close(): void;
}

interface Session {
  readonly token: string;
  readonly client: HttpClient;
  readonly controller: AbortController;
  readonly realUrl: string;
  failure: RoomcastError | undefined;
  refusal: RoomcastError | undefined;
  contentType: string | undefined;
  receivedBytes: number;
  unbounded: boolean;
  seekable: boolean | undefined;
  isPlaylist: boolean;
}

/** RFC 8216, section 4.3.1.1; servers put a byte order mark or blanks in front. */
const PLAYLIST = /^\s*#EXTM3U/;
const LOOK_AT_BYTES = 64;
/** Shorter than a room session waits for a silent source: the cause that is told is the connection, not the silence. */
const PATIENCE_MS = 6000;
/** A name that no resolver knows (RFC 6761, section 6.4): without the gateway as its proxy it leads nowhere. */
const ORIGIN = "http://source.invalid";

/**
 * A proxy on 127.0.0.1 through which ffmpeg and ffprobe read sources. They never learn the real URL, and what they need
 * to read through the gateway is in their environment, because arguments of a process are public on its machine: they
 * name a URL without a secret, and authenticate to the gateway as to an HTTP proxy (RFC 9110, section 11.7). Redirects
 * pass the egress guard, and playlists are not handed on at all. What breaks upstream is asked for again there, out of ffmpeg's
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
      realUrl,
      failure: undefined,
      refusal: undefined,
      contentType: undefined,
      receivedBytes: 0,
      unbounded: false,
      seekable: undefined,
      isPlaylist: false,
    };
    this.#sessions.set(session.token, session);
    return {
      url: urlOf(realUrl),
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
      get isPlaylist() {
        return session.isPlaylist;
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
    if (URL.parse(request.url ?? "", ORIGIN)?.pathname !== new URL(urlOf(session.realUrl)).pathname) {
      response.writeHead(404).end();
      return;
    }
    const stop = new AbortController();
    response.once("close", () => stop.abort());
    const signal = AbortSignal.any([session.controller.signal, stop.signal]);
    const range = readRange(request);
    try {
      const upstream = await session.client.open(session.realUrl, { signal, range: range ?? { start: 0 } });
      session.contentType = upstream.contentType;
      session.unbounded = upstream.totalBytes === null;
      session.seekable = upstream.seekable;
      const chunks = upstream.body[Symbol.asyncIterator]();
      const first = await beginningOf(chunks);
      if ((range?.start ?? 0) === 0 && PLAYLIST.test(first.toString())) {
        await chunks.return?.();
        session.isPlaylist = true;
        throw new RoomcastError(
          "FailedOperation.SourceUnsupported",
          "The source is an HLS playlist, not a media file.",
        );
      }
      const { status, headers } = answerHead(upstream, range);
      response.writeHead(status, headers);
      await pipeline(counted(first, chunks, session), response);
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
    const status = failure instanceof UpstreamStatusError ? Math.max(400, failure.status) : 502;
    response.writeHead(session.isPlaylist ? 415 : status).end();
  }
}

/** The file's extension stays, because ffmpeg chooses some formats by it; its name, directory and query do not. */
function urlOf(realUrl: string): string {
  const name = URL.parse(realUrl)?.pathname.split("/").at(-1) ?? "";
  const extension = /\.[A-Za-z0-9]{1,5}$/.exec(name)?.[0] ?? "";
  return `${ORIGIN}/0/media${extension}`;
}

/** As much of the body as it takes to see whether it is a playlist. */
async function beginningOf(chunks: AsyncIterator<Buffer>): Promise<Buffer> {
  let first = Buffer.alloc(0);
  while (first.length < LOOK_AT_BYTES && "#EXTM3U".startsWith(first.toString().trimStart())) {
    const next = await chunks.next();
    if (next.done === true) break;
    first = Buffer.concat([first, next.value]);
  }
  return first;
}

async function* counted(
  first: Buffer,
  chunks: AsyncIterator<Buffer>,
  session: Session,
): AsyncGenerator<Buffer, undefined> {
  try {
    session.receivedBytes += first.length;
    if (first.length > 0) yield first;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      session.receivedBytes += next.value.length;
      yield next.value;
    }
  } finally {
    await chunks.return?.();
  }
}
