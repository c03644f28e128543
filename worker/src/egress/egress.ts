import { lookup as dnsLookup } from "node:dns/promises";
import net from "node:net";
import type { Readable } from "node:stream";
import tls from "node:tls";
import { RoomcastError, shownUrl } from "@roomcast/shared";
import { Agent, request } from "undici";
import { type AddressPolicy, judgeAddress } from "./address-policy.ts";
import { egressError } from "./egress-error.ts";

export interface PinnedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** A host name that was resolved once, every address of which may be reached. */
export interface PinnedHost extends PinnedAddress {
  readonly hostname: string;
  /** All addresses, IPv4 first; `address` and `family` are the first. Never empty. */
  readonly addresses: readonly PinnedAddress[];
}

export interface ConnectOptions {
  /** A host name or an address literal (IPv6 with or without brackets). */
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** Until the connection, with TLS its handshake, stands. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface FetchOptions {
  /** `GET` unless given. A `POST` is not repeated at another address: a redirect of it is the answer. */
  readonly method?: "GET" | "HEAD" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
  /** From the request's last byte to the answer's headers. */
  readonly headersTimeoutMs?: number;
  /** The longest silence while the body is being read; a reader that pauses is not counted. */
  readonly bodyTimeoutMs?: number;
}

export interface EgressResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Streams with backpressure. It must be read to its end or destroyed. Its errors are raw: see `egressError`. */
  readonly body: Readable;
  /** Where the answer came from after redirects. Holds secrets: never show it but through `shownUrl`. */
  readonly url: string;
}

export interface EgressOptions {
  readonly policy: AddressPolicy;
  /** In place of the system's resolver. */
  readonly lookup?: (hostname: string) => Promise<PinnedAddress[]>;
  readonly connectTimeoutMs?: number;
  readonly headersTimeoutMs?: number;
  readonly bodyTimeoutMs?: number;
}

const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

async function systemLookup(hostname: string): Promise<PinnedAddress[]> {
  const found = await dnsLookup(hostname, { all: true, order: "ipv4first" });
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
}

/**
 * The only way out for connections made on a user's behalf. A host is resolved once, each of its addresses is judged,
 * and the connection goes to the addresses that were judged, so that a second DNS answer changes nothing.
 *
 * Everything rejects with a RoomcastError: `FailedOperation.SourceForbidden`, `FailedOperation.SourceUnreachable` or
 * `FailedOperation.SourceTimeout`; callers for whom the other side is no source translate the code.
 */
export class Egress {
  readonly #policy: AddressPolicy;
  readonly #lookup: (hostname: string) => Promise<PinnedAddress[]>;
  readonly #connectTimeoutMs: number;
  readonly #agent: Agent;

  constructor(options: EgressOptions) {
    this.#policy = options.policy;
    this.#lookup = options.lookup ?? systemLookup;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 10_000;
    this.#agent = new Agent({
      connect: { lookup: this.#guardedLookup, timeout: this.#connectTimeoutMs },
      headersTimeout: options.headersTimeoutMs ?? 15_000,
      bodyTimeout: options.bodyTimeoutMs ?? 15_000,
    });
  }

  /** Resolves a host name once and judges every address; an address literal is judged as it is. */
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

  /** A TCP or TLS connection to a judged address; the certificate and SNI are those of `host`. */
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
   * An HTTP request; redirects of GET and HEAD are followed by hand, at most 5, each judged anew. Any status is an
   * answer. A user and password in the URL become a Basic `Authorization`, which another origin never sees.
   */
  async fetch(url: string, options: FetchOptions = {}): Promise<EgressResponse> {
    const method = options.method ?? "GET";
    let target = httpUrl(url);
    let headers: Record<string, string> = { ...basicAuthorization(target), ...options.headers };
    for (let redirects = 0; ; redirects += 1) {
      const response = await this.#request(target, method, headers, options);
      const location = response.headers["location"];
      if (method === "POST" || !REDIRECTS.has(response.status) || typeof location !== "string") return response;
      response.body.once("error", () => {}).destroy();
      if (redirects === MAX_REDIRECTS) {
        throw new RoomcastError(
          "FailedOperation.SourceUnreachable",
          `${shownUrl(url)} redirects more than ${MAX_REDIRECTS} times.`,
        );
      }
      const next = httpUrl(location, target);
      if (next.origin !== target.origin) headers = withoutCredentials(headers);
      headers = { ...headers, ...basicAuthorization(next) };
      target = next;
    }
  }

  /** Closes idle connections and ends those in use. Idempotent. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #request(
    target: URL,
    method: "GET" | "HEAD" | "POST",
    headers: Record<string, string>,
    options: FetchOptions,
  ): Promise<EgressResponse> {
    // A literal address never comes to the agent's lookup; a name is judged there, where the connection is made.
    const host = target.hostname.replace(/^\[(.*)\]$/, "$1");
    if (net.isIP(host) !== 0) await this.resolve(host);
    const bare = new URL(target);
    bare.username = "";
    bare.password = "";
    bare.hash = "";
    try {
      const response = await request(bare, {
        dispatcher: this.#agent,
        method,
        headers,
        body: options.body ?? null,
        signal: options.signal ?? null,
        ...(options.headersTimeoutMs === undefined ? {} : { headersTimeout: options.headersTimeoutMs }),
        ...(options.bodyTimeoutMs === undefined ? {} : { bodyTimeout: options.bodyTimeoutMs }),
      });
      return { status: response.statusCode, headers: response.headers, body: response.body, url: target.href };
    } catch (cause) {
      options.signal?.throwIfAborted();
      throw egressError(cause, target.host);
    }
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

function forbidden(host: string, address: string, why: string): RoomcastError {
  const named =
    host === address
      ? `The address ${address} is ${why}`
      : `The host ${host} has the address ${address}, which is ${why}`;
  return new RoomcastError(
    "FailedOperation.SourceForbidden",
    `${named}: Roomcast does not connect there on a user's behalf. What an operator may allow, ROOMCAST_ALLOW_HOSTS of the media worker allows by host or range.`,
  );
}

/** A lookup that gives the judged addresses and asks nobody. */
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
    // The socket may yet report what no one waits for.
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

function httpUrl(text: string, base?: URL): URL {
  const url = URL.parse(text, base?.href);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new RoomcastError(
      "FailedOperation.SourceForbidden",
      base === undefined
        ? "Only http and https addresses can be fetched."
        : `${shownUrl(base.href)} redirects to something that is no http or https address.`,
    );
  }
  return url;
}

function basicAuthorization(url: URL): Record<string, string> {
  if (url.username === "" && url.password === "") return {};
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString("base64")}` };
}

function withoutCredentials(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !["authorization", "cookie"].includes(name.toLowerCase())),
  );
}
