import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** A request that came to the receiver, unchecked. */
export interface ReceivedCallback {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface CallbackAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

const TAKEN: CallbackAnswer = { status: 200 };

/** Stands in for a user's server that receives events. */
export class CallbackReceiver {
  readonly key = "K3yForSigningCallbacks";
  readonly received: ReceivedCallback[] = [];
  readonly #server: Server;
  readonly #planned: CallbackAnswer[] = [];

  private constructor(server: Server) {
    this.#server = server;
    server.on("request", (request, response) => {
      void this.#take(request).then(({ status, headers }) => response.writeHead(status, headers).end('{"code":0}'));
    });
  }

  static async start(): Promise<CallbackReceiver> {
    const server = createServer();
    const receiver = new CallbackReceiver(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return receiver;
  }

  /** Plans the answers to the next requests, in this order. Later requests are accepted. */
  plan(...answers: readonly CallbackAnswer[]): void {
    this.#planned.push(...answers);
  }

  url(path: string): string {
    // SAFETY: it listens on TCP.
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}${path}`;
  }

  /** Returns the value that the header `Sign` must have for this body. */
  sign(body: string): string {
    return createHmac("sha256", this.key).update(body).digest("base64");
  }

  at(path: string): ReceivedCallback[] {
    return this.received.filter((callback) => callback.path === path);
  }

  async #take(request: IncomingMessage): Promise<CallbackAnswer> {
    const body = await text(request);
    this.received.push({ path: request.url ?? "", headers: request.headers, body });
    return this.#planned.shift() ?? TAKEN;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, "close");
  }
}
