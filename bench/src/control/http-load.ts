import { once } from "node:events";
import { connect, type Socket } from "node:net";

export interface HttpLoadOptions {
  readonly port: number;
  /** Kept alive; each has one request under way at a time. */
  readonly connections: number;
  /** Returns true if one more is to be sent, given the number sent and the time since the first. */
  readonly goesOn: (sent: number, elapsedMs: number) => boolean;
  /** The next request as its bytes on the wire. */
  readonly nextRequest: () => string;
}

export interface HttpLoadResult {
  readonly perSecond: number;
  /** One for each answer. */
  readonly latenciesMs: readonly number[];
}

const HEAD_END = "\r\n\r\n";
const LAST_CHUNK = "\r\n0\r\n\r\n";

/**
 * Loads an HTTP server on loopback as much as it takes. Node's own HTTP clients cost more CPU than a small answer of
 * workerd, so they would measure themselves; this one writes prepared bytes and counts answers.
 *
 * @throws Error at the first answer that is not 200, or when a connection ends.
 */
export async function loadHttp({ port, connections, goesOn, nextRequest }: HttpLoadOptions): Promise<HttpLoadResult> {
  const sockets = await Promise.all(Array.from({ length: connections }, () => dial(port)));
  const latenciesMs: number[] = [];
  const startedAtMs = performance.now();
  let sent = 0;
  const takeRequest = () => {
    if (!goesOn(sent, performance.now() - startedAtMs)) return undefined;
    sent += 1;
    return nextRequest();
  };
  try {
    await Promise.all(sockets.map((socket) => drive(socket, takeRequest, latenciesMs)));
  } finally {
    for (const socket of sockets) socket.destroy();
  }
  return { perSecond: (latenciesMs.length / (performance.now() - startedAtMs)) * 1000, latenciesMs };
}

async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  return socket.setEncoding("latin1");
}

/** One connection: request, answer, request, until there is no request and the last answer has come. */
function drive(socket: Socket, takeRequest: () => string | undefined, latenciesMs: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = "";
    let sentAtMs = 0;
    const send = () => {
      const request = takeRequest();
      if (request === undefined) return resolve();
      sentAtMs = performance.now();
      socket.write(request);
    };
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("The server closed a connection under load.")));
    socket.on("data", (text: string) => {
      received += text;
      if (!isWhole(received)) return;
      if (!received.startsWith("HTTP/1.1 200 ")) return reject(new Error(`Refused under load: ${received}`));
      received = "";
      latenciesMs.push(performance.now() - sentAtMs);
      send();
    });
    send();
  });
}

/** Returns true if an answer is complete (RFC 9112, section 6). */
function isWhole(answer: string): boolean {
  const headEnd = answer.indexOf(HEAD_END);
  if (headEnd === -1) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(answer.slice(0, headEnd))?.[1];
  return length === undefined
    ? answer.endsWith(LAST_CHUNK)
    : answer.length >= headEnd + HEAD_END.length + Number(length);
}
