import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Serves what was made in this process, on a free loopback port. */
export class HostileServer {
  readonly #server: Server;
  readonly #answers = new Map<string, Answer>();
  readonly #origin: string;

  static async start(): Promise<HostileServer> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new HostileServer(server);
  }

  private constructor(server: Server) {
    this.#server = server;
    // SAFETY: a server that listens on TCP has an AddressInfo.
    this.#origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", (request, response) => {
      // A reader that goes away is no failure.
      response.on("error", () => undefined);
      const answer = this.#answers.get(request.url ?? "");
      if (answer === undefined) response.writeHead(404).end();
      else answer(request, response);
    });
  }

  /** @returns the URL of what is served from now on under this name */
  serve(name: string, answer: Answer): string {
    this.#answers.set(`/${name}`, answer);
    return `${this.#origin}/${name}`;
  }

  /** Forgets everything that was served, and cuts what is still being read. */
  clear(): void {
    this.#answers.clear();
    this.#server.closeAllConnections();
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

/** A whole body, with ranges. With `claimedBytes` it declares a greater length and stops at its real end. */
export function bodyOf(body: Buffer, claimedBytes: number = body.length): Answer {
  return (request, response) => {
    const [, from = "0", to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
    const start = Math.min(Number(from), claimedBytes);
    const end = Math.min(to === undefined || to === "" ? Number.POSITIVE_INFINITY : Number(to), claimedBytes - 1);
    response.writeHead(206, {
      "content-range": `bytes ${start}-${end}/${claimedBytes}`,
      "content-length": end - start + 1,
      "accept-ranges": "bytes",
    });
    const part = body.subarray(start, end + 1);
    if (part.length === end - start + 1) response.end(part);
    else response.write(part);
  };
}

/** A body under content codings, without ranges. */
export function encodedBody(body: Buffer, codings: string): Answer {
  return (_request, response) => {
    response.writeHead(200, { "content-encoding": codings, "content-length": body.length }).end(body);
  };
}

/** A body without an end: `head`, then `part` repeated as fast as it is read. */
export function endlessBody(head: Buffer, part: Buffer): Answer {
  return (_request, response) => {
    response.writeHead(200);
    response.write(head);
    const more = (): void => {
      while (!response.destroyed && response.write(part));
    };
    response.on("drain", more);
    more();
  };
}

/** A chunked body of one byte a second. */
export function drippingBody(body: Buffer): Answer {
  return (_request, response) => {
    response.writeHead(200);
    let at = 0;
    const timer = setInterval(() => {
      response.write(body.subarray(at % body.length, (at % body.length) + 1));
      at += 1;
    }, 1000);
    response.once("close", () => clearInterval(timer));
  };
}
