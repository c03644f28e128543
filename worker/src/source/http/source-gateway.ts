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

/** One source that ffmpeg and ffprobe can read through the gateway. */
export interface GatewaySession {
  /**
   * The URL that the reading process gets, for example `http://source.invalid/0/media.mp4`. It may appear in a command
   * line, because it is useless without `environment`.
   */
  readonly url: string;
  /**
   * Variables that the reading process needs in its environment. They contain the session's secret: only the worker's
   * own user can read the environment of its processes, while every user of the machine can read their arguments.
   */
  readonly environment: Readonly<Record<string, string>>;
  /** The error of the last request upstream, or undefined if it succeeded or none was made yet. */
  readonly failure: RoomcastError | undefined;
  /** The first refusal by the egress guard or the server. It stays even if later requests succeed. */
  readonly refusal: RoomcastError | undefined;
  /** The media type that the server gave, in lower case, without parameters. */
  readonly contentType: string | undefined;
  /** The number of media bytes that were passed on. */
  readonly receivedBytes: number;
  /** True if the server gave no length: the source is a live stream, or is generated while it is sent. */
  readonly unbounded: boolean;
  /** True if the server supports ranges, false if it does not, undefined until something was read. */
  readonly seekable: boolean | undefined;
  /** True if the source is an HLS playlist. ffmpeg does not get it; the worker's own HLS reader must play it. */
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

/**
 * Matches the beginning of an HLS playlist (RFC 8216, section 4.3.1.1). Some servers send a byte order mark or white
 * space before it.
 */
const PLAYLIST = /^\s*#EXTM3U/;
const LOOK_AT_BYTES = 64;
/**
 * The time for which a failing request is tried again, ms. It is shorter than the time for which a room session waits
 * for a silent source, so that the reported error is that of the connection.
 */
const PATIENCE_MS = 6000;
/**
 * The origin of the gateway's URLs. Its name never resolves (RFC 6761, section 6.4), so the URLs work only with the
 * gateway as a proxy.
 */
const ORIGIN = "http://source.invalid";

/**
 * A proxy on 127.0.0.1 through which ffmpeg and ffprobe read sources. They never learn the real URL. Their arguments
 * name a URL without a secret, because arguments of a process are public on its machine; the session's secret is in
 * their environment, and they authenticate to the gateway as they would to any HTTP proxy (RFC 9110, section 11.7).
 * Redirects pass the egress guard, and playlists are not passed on at all. The gateway itself repeats requests that
 * fail upstream, so a transfer to ffmpeg breaks only if it cannot continue.
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
   * Opens a session for one source.
   *
   * @param realUrl an http(s) URL; no connection is made until something reads
   * @param client the client of a source that was read before, which has its cookies and knows its server
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

  /** Ends all sessions; idempotent. It resolves when no connection is left. */
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
      // An abort means that ffmpeg disconnected or the session was closed, so the source did not fail.
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

/**
 * Returns the gateway's URL of a source. The URL keeps the file's extension, because ffmpeg chooses some formats by it,
 * but not the file's name, directory and query.
 */
function urlOf(realUrl: string): string {
  const name = URL.parse(realUrl)?.pathname.split("/").at(-1) ?? "";
  const extension = /\.[A-Za-z0-9]{1,5}$/.exec(name)?.[0] ?? "";
  return `${ORIGIN}/0/media${extension}`;
}

/** Reads as much of the body as is needed to see whether it is a playlist. */
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
