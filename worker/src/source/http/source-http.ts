import type { Egress } from "../../egress/egress.ts";
import { CookieStore } from "./cookie-store.ts";
import type { FlowFloor } from "./flow-watch.ts";
import type { HttpAnswer, HttpClient, HttpDocument, HttpRequest } from "./http-client.ts";
import { Resource } from "./resource.ts";
import { Transfer } from "./transfer.ts";

export interface SourceHttpOptions {
  readonly egress: Pick<Egress, "fetch">;
  /** How long what worked before is waited for when it fails, ms. */
  readonly patienceMs?: number | undefined;
  /** A server that says how long it is to be left alone (Retry-After) is believed for so long, ms; `patienceMs` unless given. */
  readonly askedPatienceMs?: number | undefined;
  /** The least that a server must send while it is being read. */
  readonly floor?: FlowFloor | undefined;
  /** A monotonic clock, ms. */
  readonly now?: (() => number) | undefined;
}

const DEFAULT_PATIENCE_MS = 30_000;
/** A live playlist names new segments for ever; what is remembered of the older ones is not needed any more. */
const MAX_RESOURCES = 512;

/** The one way in which sources are read over HTTP. */
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
    // The one that was used last is the last to be forgotten.
    this.#resources.delete(url);
    this.#resources.set(url, resource);
    const [oldest] = this.#resources.keys();
    if (this.#resources.size > MAX_RESOURCES && oldest !== undefined) this.#resources.delete(oldest);
    return resource;
  }
}
