/** The options of one request to a source's server. */
export interface HttpRequest {
  readonly signal: AbortSignal;
  /**
   * The bytes from `start` to `end` inclusive, or to the end of the resource if `end` is absent. If the range is
   * absent, all bytes are requested.
   */
  readonly range?: { readonly start: number; readonly end?: number | undefined } | undefined;
  /** The time for which a failing request is repeated, ms. If it is absent, the client's own limit applies. */
  readonly patienceMs?: number | undefined;
}

/** A response whose body is being read. */
export interface HttpAnswer {
  /** The URL after redirects. It may contain secrets: show it only through `shownUrl`. */
  readonly url: string;
  /** The media type in lower case, without parameters. */
  readonly contentType: string | undefined;
  /** Size of the whole resource in bytes, or null if the server does not say. */
  readonly totalBytes: number | null;
  /** True if the server supports requests for parts of the resource. */
  readonly seekable: boolean;
  /**
   * Exactly the bytes that were requested, with their content encoding undone. The body keeps backpressure, and throws
   * a RoomcastError if the connection breaks or falls silent. The reader must read the body to its end or return its
   * iterator.
   */
  readonly body: AsyncIterable<Buffer>;
}

/** A small resource that was read as a whole: a playlist, a key, an initialisation segment. */
export interface HttpDocument {
  readonly url: string;
  readonly contentType: string | undefined;
  readonly body: Buffer;
}

/**
 * Reads one source from its servers. There is one client per opened source, because cookies are kept per source and
 * host. All requests pass the egress guard and name Roomcast as their User-Agent. The client itself handles redirects,
 * `Retry-After`, reused connections that were dropped, odd ranges and content encodings.
 */
export interface HttpClient {
  /** @throws RoomcastError `FailedOperation.Source…`; the signal's reason if the signal aborts */
  open(url: string, request: HttpRequest): Promise<HttpAnswer>;
  /** @throws as `open`, and `SourceUnsupported` if the resource has more than `maxBytes` */
  read(url: string, request: HttpRequest & { readonly maxBytes: number }): Promise<HttpDocument>;
}

/** Returns a client that does the same with a shorter retry time, for a reader that repeats requests itself. */
export function withPatience(http: HttpClient, patienceMs: number): HttpClient {
  return {
    open: (url, request) => http.open(url, { patienceMs, ...request }),
    read: (url, request) => http.read(url, { patienceMs, ...request }),
  };
}
