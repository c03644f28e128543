import { lookup as dnsLookup } from "node:dns/promises";
import net from "node:net";
import type { Readable } from "node:stream";
import tls from "node:tls";
import { type AddressPolicy, judgeAddress, RoomcastError } from "@roomcast/shared";
import { Agent } from "undici";
import { egressError, isCutOff, isParseError } from "./egress-error.ts";
import { followRedirects } from "./follow-redirects.ts";
import type { HttpAddress } from "./http-address.ts";
import { askLeniently } from "./lenient-http.ts";

export interface PinnedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** A host name that was resolved once and whose addresses may all be reached. */
export interface PinnedHost extends PinnedAddress {
  readonly hostname: string;
  /** All addresses, IPv4 first; never empty. `address` and `family` are those of the first. */
  readonly addresses: readonly PinnedAddress[];
}

export interface ConnectOptions {
  /** A host name or an address literal (IPv6 with or without brackets). */
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** Time limit for making the connection, including the TLS handshake, ms. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Stores the cookies of one source. */
export interface RequestCookies {
  /** Returns the `Cookie` header for a request to this URL, if there are cookies for it. */
  header(url: string): string | undefined;
  /**
   * Stores the cookies of an answer.
   *
   * @param setCookies the `Set-Cookie` headers of an answer from this URL
   */
  store(url: string, setCookies: readonly string[]): void;
}

export interface FetchOptions {
  /** The default is `GET`. Redirects of a `POST` are not followed: the redirect is returned as the answer. */
  readonly method?: "GET" | "HEAD" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
  /** Time limit between the last byte of the request and the headers of the answer, ms. */
  readonly headersTimeoutMs?: number;
  /** The longest silence while the body is read, ms. Time in which the reader pauses is not counted. */
  readonly bodyTimeoutMs?: number;
  /** The cookies of the source. They are sent and updated with each request, including those of redirects. */
  readonly cookies?: RequestCookies;
}

export interface EgressResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /**
   * The body as a stream with backpressure. It must be read to its end or destroyed. The errors of the stream are not
   * converted: see `egressError`.
   */
  readonly body: Readable;
  /** The URL of the answer after redirects. It holds secrets: show it only through `shownUrl`. */
  readonly url: string;
}

export interface EgressOptions {
  readonly policy: AddressPolicy;
  /** Resolves a host name, in place of the system's resolver. */
  readonly lookup?: (hostname: string) => Promise<PinnedAddress[]>;
  readonly connectTimeoutMs?: number;
  readonly headersTimeoutMs?: number;
  readonly bodyTimeoutMs?: number;
}

async function systemLookup(hostname: string): Promise<PinnedAddress[]> {
  const found = await dnsLookup(hostname, { all: true, order: "ipv4first" });
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
}

/**
 * The only module that makes connections on a user's behalf. It resolves a host once, judges each of its addresses, and
 * connects only to the judged addresses, so that a second DNS answer changes nothing. Apart from aborts and the errors of a
 * body, all errors are RoomcastErrors: mostly `FailedOperation.SourceForbidden`, `FailedOperation.SourceUnreachable` or
 * `FailedOperation.SourceTimeout`. A caller that connects to something other than a source replaces the code with its own.
 */
export class Egress {
  readonly #policy: AddressPolicy;
  readonly #lookup: (hostname: string) => Promise<PinnedAddress[]>;
  readonly #connectTimeoutMs: number;
  readonly #headersTimeoutMs: number;
  readonly #agent: Agent;
  /** An agent that never reuses a connection, so that a request is never sent on one that the server has closed. */
  readonly #freshAgent: Agent;

  constructor(options: EgressOptions) {
    this.#policy = options.policy;
    this.#lookup = options.lookup ?? systemLookup;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 10_000;
    this.#headersTimeoutMs = options.headersTimeoutMs ?? 15_000;
    const agent = {
      connect: { lookup: this.#guardedLookup, timeout: this.#connectTimeoutMs },
      headersTimeout: this.#headersTimeoutMs,
      bodyTimeout: options.bodyTimeoutMs ?? 15_000,
    };
    this.#agent = new Agent(agent);
    this.#freshAgent = new Agent({ ...agent, pipelining: 0 });
  }

  /** Resolves a host name once and judges each of its addresses. An address literal is judged directly. */
  async resolve(hostname: string): Promise<PinnedHost> {
    const host = hostname
      .replace(/^\[(.*)\]$/, "$1")
      .replace(/\.$/, "")
      .toLowerCase();
    const literal = net.isIP(host);
    const addresses: readonly PinnedAddress[] =
      literal === 0 ? await this.#resolveName(host) : [{ address: host, family: literal === 6 ? 6 : 4 }];
    const [first] = addresses;
    if (first === undefined) {
      throw new RoomcastError("FailedOperation.SourceUnreachable", `The host ${host} has no address.`);
    }
    for (const { address } of addresses) {
      const verdict = judgeAddress(this.#policy, address, host);
      if (!verdict.allowed) throw forbidden(host, address, verdict.why);
    }
    return { ...first, hostname: host, addresses };
  }

  /**
   * Opens a TCP or TLS connection to a judged address. The certificate must match `host`, which is also sent as SNI unless it
   * is an IP address.
   */
  async connect(options: ConnectOptions): Promise<net.Socket> {
    const pinned = await this.resolve(options.host);
    options.signal?.throwIfAborted();
    const target = {
      host: pinned.hostname,
      port: options.port,
      lookup: answerWith(pinned.addresses),
      autoSelectFamily: true,
      noDelay: true,
    };
    const socket = options.tls
      ? tls.connect({ ...target, ...(net.isIP(pinned.hostname) === 0 ? { servername: pinned.hostname } : {}) })
      : net.connect(target);
    return await whenConnected(socket, options.tls ? "secureConnect" : "connect", {
      where: `${pinned.hostname}:${options.port}`,
      timeoutMs: options.timeoutMs ?? this.#connectTimeoutMs,
      signal: options.signal,
    });
  }

  /**
   * Makes an HTTP request whose path and query are sent as they are written. Redirects of GET and HEAD are followed here, at
   * most 10, and each target is judged. An answer with any status is returned, also one that means an error. A user and
   * password in the URL become a Basic `Authorization`, which is never sent to another origin.
   */
  async fetch(url: string, options: FetchOptions = {}): Promise<EgressResponse> {
    const method = options.method ?? "GET";
    return await followRedirects({
      url,
      headers: options.headers ?? {},
      follows: method !== "POST",
      request: (target, headers) => this.#request(target, method, headers, options),
    });
  }

  /** Closes all connections, including those that are in use. Can be called more than once. */
  async close(): Promise<void> {
    await Promise.all([this.#agent.destroy(), this.#freshAgent.destroy()]);
  }

  async #request(
    target: HttpAddress,
    method: "GET" | "HEAD" | "POST",
    headers: Readonly<Record<string, string>>,
    options: FetchOptions,
  ): Promise<EgressResponse> {
    // An address literal never reaches the agent's lookup, so it is judged here. A name is judged in the lookup, when
    // the connection is made.
    const host = target.hostname.replace(/^\[(.*)\]$/, "$1");
    if (net.isIP(host) !== 0) await this.resolve(host);
    const { authorization } = target;
    const cookie = options.cookies?.header(target.href);
    const sent = {
      ...headers,
      ...(authorization === undefined ? {} : { authorization }),
      ...(cookie === undefined ? {} : { cookie }),
    };
    try {
      const response = await this.#ask(target, method, sent, options);
      options.cookies?.store(target.href, [response.headers["set-cookie"] ?? []].flat());
      return { ...response, url: target.href };
    } catch (cause) {
      options.signal?.throwIfAborted();
      throw egressError(cause, target.host);
    }
  }

  /**
   * Makes one request and returns its answer. A server may close a kept connection while the next request is in transit (RFC
   * 9112, section 9.3.1). If the connection breaks before the answer, a request that can be repeated is sent once more, on a
   * new connection.
   */
  async #ask(
    target: HttpAddress,
    method: "GET" | "HEAD" | "POST",
    headers: Readonly<Record<string, string>>,
    options: FetchOptions,
  ): Promise<Omit<EgressResponse, "url">> {
    const request = {
      origin: target.origin,
      path: target.path,
      method,
      headers,
      body: options.body ?? null,
      signal: options.signal ?? null,
      ...(options.headersTimeoutMs === undefined ? {} : { headersTimeout: options.headersTimeoutMs }),
      ...(options.bodyTimeoutMs === undefined ? {} : { bodyTimeout: options.bodyTimeoutMs }),
    };
    try {
      return answerOf(await this.#agent.request(request));
    } catch (thrown) {
      options.signal?.throwIfAborted();
      if (method === "GET" && isParseError(thrown)) return await this.#askLeniently(target, headers, options);
      if (method === "POST" || !isCutOff(thrown)) throw thrown;
      return answerOf(await this.#freshAgent.request(request));
    }
  }

  async #askLeniently(
    address: HttpAddress,
    headers: Readonly<Record<string, string>>,
    { signal, headersTimeoutMs }: FetchOptions,
  ): Promise<Omit<EgressResponse, "url">> {
    const socket = await this.connect({
      host: address.hostname,
      port: address.port,
      tls: address.tls,
      ...(signal === undefined ? {} : { signal }),
    });
    const timeoutMs = headersTimeoutMs ?? this.#headersTimeoutMs;
    return await askLeniently(socket, { address, headers, timeoutMs, signal });
  }

  async #resolveName(hostname: string): Promise<PinnedAddress[]> {
    try {
      return await this.#lookup(hostname);
    } catch (cause) {
      throw egressError(cause, hostname);
    }
  }

  readonly #guardedLookup: net.LookupFunction = (hostname, options, callback) => {
    this.resolve(hostname).then(
      ({ addresses }) => answerWith(addresses)(hostname, options, callback),
      // oxlint-disable-next-line promise/no-callback-in-promise -- node:net's lookup is a callback interface
      (error: unknown) => callback(error instanceof Error ? error : new Error("lookup failed"), ""),
    );
  };
}

/** The error for an address that is not allowed. A retry cannot change that. */
export class ForbiddenAddressError extends RoomcastError {
  constructor(message: string) {
    super("FailedOperation.SourceForbidden", message);
  }
}

function forbidden(host: string, address: string, why: string): ForbiddenAddressError {
  const named =
    host === address
      ? `The address ${address} is ${why}`
      : // The address behind a host name is not shown, because it may lie in a network that the caller must learn nothing about.
        `The host ${host} has an address that is ${why}`;
  return new ForbiddenAddressError(
    `${named}: Roomcast does not connect there on a user's behalf. Use a public host. An operator can allow other hosts and ranges, except metadata services, in ROOMCAST_ALLOW_HOSTS of the media worker.`,
  );
}

/** Returns a lookup function that answers with the judged addresses and makes no DNS request. */
function answerWith(addresses: readonly PinnedAddress[]): net.LookupFunction {
  return (_hostname, options, callback) => {
    if (options.all === true) callback(null, [...addresses]);
    else callback(null, addresses[0]?.address ?? "", addresses[0]?.family ?? 4);
  };
}

interface ConnectWait {
  readonly where: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

async function whenConnected(socket: net.Socket, event: string, wait: ConnectWait): Promise<net.Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => reject(Object.assign(new Error("connect timed out"), { code: "ETIMEDOUT" })),
    wait.timeoutMs,
  );
  const abort = () => reject(new Error("aborted"));
  socket.once(event, () => resolve());
  socket.once("error", reject);
  wait.signal?.addEventListener("abort", abort, { once: true });
  try {
    await promise;
    return socket;
  } catch (cause) {
    // The socket may report another error after this one, which must not end the process.
    socket.on("error", () => {});
    socket.destroy();
    wait.signal?.throwIfAborted();
    throw egressError(cause, wait.where);
  } finally {
    clearTimeout(timer);
    socket.removeListener("error", reject);
    wait.signal?.removeEventListener("abort", abort);
  }
}

function answerOf(response: Awaited<ReturnType<Agent["request"]>>): Omit<EgressResponse, "url"> {
  return { status: response.statusCode, headers: response.headers, body: response.body };
}
