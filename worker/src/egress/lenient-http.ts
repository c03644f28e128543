import type net from "node:net";
import { RoomcastError } from "@roomcast/shared";
import { egressError } from "./egress-error.ts";
import type { HttpAddress } from "./http-address.ts";

export interface LenientAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
  /** All bytes after the head, until the server closes the connection. */
  readonly body: net.Socket;
}

export interface LenientRequest {
  readonly address: HttpAddress;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

const MAX_HEAD_BYTES = 64 * 1024;

/**
 * Makes a request to a server whose answer a strict HTTP parser refuses. SHOUTcast begins with `ICY 200 OK` instead of
 * `HTTP/1.0 200 OK`, and uses various line ends. The request is HTTP/1.0, so that the answer's body is not chunked.
 *
 * @param socket a connection that was made for this request. It becomes the body of the answer.
 * @throws RoomcastError if the answer cannot be read even by these lenient rules, or does not arrive in time
 */
export async function askLeniently(socket: net.Socket, request: LenientRequest): Promise<LenientAnswer> {
  const { address, headers, signal } = request;
  const abort = () => void socket.destroy();
  signal?.addEventListener("abort", abort, { once: true });
  // The body may fail while nobody listens for errors, which must not end the process. The next read then reports the error.
  socket.on("error", () => {});
  socket.once("close", () => signal?.removeEventListener("abort", abort));
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    socket.destroy();
  }, request.timeoutMs);
  try {
    const lines = Object.entries({ host: address.host, ...headers, connection: "close" });
    const head = [`GET ${address.path} HTTP/1.0`, ...lines.map(([name, value]) => `${name}: ${value}`), "", ""];
    socket.write(head.join("\r\n"), "latin1");
    return readHead(await headOf(socket), socket, address.host);
  } catch (thrown) {
    socket.destroy();
    signal?.throwIfAborted();
    if (timedOut) throw egressError(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" }), address.host);
    throw egressError(thrown, address.host);
  } finally {
    clearTimeout(timer);
  }
}

/** Returns the head of the answer, up to the empty line. Bytes after it are put back into the socket. */
async function headOf(socket: net.Socket): Promise<string> {
  let seen = Buffer.alloc(0);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const take = () => {
    for (let chunk = read(socket); chunk !== null; chunk = read(socket)) {
      seen = Buffer.concat([seen, chunk]);
      const text = seen.toString("latin1", 0, MAX_HEAD_BYTES);
      const end = /\r?\n\r?\n/.exec(text);
      if (end !== null) {
        // Bytes that are put back make the socket readable again, and this listener must not read them once more.
        socket.off("readable", take);
        const bodyAt = end.index + end[0].length;
        if (bodyAt < seen.length) socket.unshift(seen.subarray(bodyAt));
        resolve(text.slice(0, end.index));
        return;
      }
      if (seen.length > MAX_HEAD_BYTES) {
        socket.off("readable", take);
        reject(new Error("The head of the answer is too long."));
        return;
      }
    }
  };
  const closed = () => reject(Object.assign(new Error("closed"), { code: "ECONNRESET" }));
  socket.on("readable", take);
  socket.once("close", closed);
  socket.once("end", closed);
  try {
    return await promise;
  } finally {
    socket.off("readable", take);
    socket.off("close", closed);
    socket.off("end", closed);
  }
}

function read(socket: net.Socket): Buffer | null {
  // SAFETY: a socket without an encoding returns Buffers.
  return socket.read() as Buffer | null;
}

function readHead(head: string, body: net.Socket, host: string): LenientAnswer {
  const [statusLine = "", ...lines] = head.split(/\r?\n/);
  const status = /^(?:ICY|HTTP\/\d(?:\.\d)?) +(\d{3})\b/i.exec(statusLine)?.[1];
  if (status === undefined) {
    throw new RoomcastError(
      "FailedOperation.SourceUnsupported",
      `${host} does not answer as an HTTP server does: is its port right?`,
    );
  }
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon > 0) headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim();
  }
  // A chunked answer is refused: chunks are not decoded here, and an answer to HTTP/1.0 must not have them (RFC 9112, section
  // 6.1).
  if (/chunked/i.test(headers["transfer-encoding"] ?? "")) {
    throw new RoomcastError("FailedOperation.SourceUnsupported", `${host} breaks the rules of HTTP in its answer.`);
  }
  return { status: Number(status), headers, body };
}
