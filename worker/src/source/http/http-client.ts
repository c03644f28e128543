/** What is asked of a source's server. */
export interface HttpRequest {
  readonly signal: AbortSignal;
  /** Bytes of the resource from `start` on, to `end` inclusive where it is given; all of it unless given. */
  readonly range?: { readonly start: number; readonly end?: number | undefined } | undefined;
  /** How long what fails is tried again, ms, where whoever asks has a patience of its own; the client's unless given. */
  readonly patienceMs?: number | undefined;
}

/** An answer whose body is being read. */
export interface HttpAnswer {
  /** Where it came from after redirects. Holds secrets: show it only through `shownUrl`. */
  readonly url: string;
  /** In lower case, without parameters. */
  readonly contentType: string | undefined;
  /** Size of the whole resource, bytes; null where the server does not say. */
  readonly totalBytes: number | null;
  /** Whether other parts of it can be asked for. */
  readonly seekable: boolean;
  /**
   * Exactly the bytes that were asked for, with their content encoding undone. Keeps backpressure; throws a
   * RoomcastError where the connection breaks or falls silent. It must be read to its end or returned.
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
 * How one source reads from its servers. One per opened source, because cookies are kept per source and host. Everything
 * passes the egress guard; every request names Roomcast as its User-Agent; redirects, `Retry-After`, reused connections
 * that were dropped, odd ranges and content encodings are dealt with inside.
 */
export interface HttpClient {
  /** @throws RoomcastError `FailedOperation.Source…`; the signal's reason when that aborts */
  open(url: string, request: HttpRequest): Promise<HttpAnswer>;
  /** @throws as `open`; `SourceUnsupported` where it has more than `maxBytes` */
  read(url: string, request: HttpRequest & { readonly maxBytes: number }): Promise<HttpDocument>;
}

/** The same client, whose requests give up early: for a reader that tries again by itself. */
export function withPatience(http: HttpClient, patienceMs: number): HttpClient {
  return {
    open: (url, request) => http.open(url, { patienceMs, ...request }),
    read: (url, request) => http.read(url, { patienceMs, ...request }),
  };
}
