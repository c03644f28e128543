import type { Egress } from "../../egress/egress.ts";
import { CookieStore } from "./cookie-store.ts";
import type { FlowFloor } from "./flow-watch.ts";
import type { HttpAnswer, HttpClient, HttpDocument, HttpRequest } from "./http-client.ts";
import { Resource } from "./resource.ts";
import { Transfer } from "./transfer.ts";

export interface SourceHttpOptions {
  readonly egress: Pick<Egress, "fetch">;
  /** The time for which a failing request is tried again if the source could be read before, ms. */
  readonly patienceMs?: number | undefined;
  /** The longest `Retry-After` that is obeyed, ms. `patienceMs` applies instead if this is absent or smaller. */
  readonly askedPatienceMs?: number | undefined;
  /** The lowest rate at which a server must send while a reader waits. */
  readonly floor?: FlowFloor | undefined;
  /** A monotonic clock, ms. */
  readonly now?: (() => number) | undefined;
}

const DEFAULT_PATIENCE_MS = 30_000;
/**
 * The most resources that are remembered. A live playlist keeps naming new segments, so what is known about old ones is
 * no longer needed.
 */
const MAX_RESOURCES = 512;

/** The HTTP client of one source. It is used for all kinds of sources. */
export class SourceHttp implements HttpClient {
  readonly #options: SourceHttpOptions;
  readonly #cookies = new CookieStore();
  readonly #resources = new Map<string, Resource>();
  readonly #source = { worked: false };

  constructor(options: SourceHttpOptions) {
    this.#options = options;
  }

  async open(url: string, request: HttpRequest): Promise<HttpAnswer> {
    return await this.#transfer(url, request).open();
  }

  async read(url: string, request: HttpRequest & { readonly maxBytes: number }): Promise<HttpDocument> {
    return await this.#transfer(url, request).whole(request.maxBytes);
  }

  #transfer(url: string, request: HttpRequest): Transfer {
    const { floor, now = () => performance.now() } = this.#options;
    const own = this.#options.patienceMs ?? DEFAULT_PATIENCE_MS;
    const asked = this.#options.askedPatienceMs ?? own;
    const { patienceMs = own } = request;
    return new Transfer({
      resource: this.#resource(url),
      url,
      request,
      patienceMs,
      askedPatienceMs: request.patienceMs ?? asked,
      floor,
      now,
      source: this.#source,
    });
  }

  #resource(url: string): Resource {
    const { egress } = this.#options;
    const resource = this.#resources.get(url) ?? new Resource({ egress, cookies: this.#cookies, url });
    // A Map keeps its keys in the order of insertion, so the first key is that of the least recently used resource.
    this.#resources.delete(url);
    this.#resources.set(url, resource);
    const [oldest] = this.#resources.keys();
    if (this.#resources.size > MAX_RESOURCES && oldest !== undefined) this.#resources.delete(oldest);
    return resource;
  }
}
