import { RoomcastError } from "@roomcast/shared";
import type { HttpAnswer, HttpClient, HttpDocument } from "./http-client.ts";

/** The number of first bytes that are read, which are enough to recognise the kind of a resource. */
const HEAD_BYTES = 4096;

/** A resource whose first bytes were already inspected. The body contains them again. */
export class OpenedResource {
  readonly answer: HttpAnswer;
  /** The first 4 KiB, or the whole resource if it is shorter. */
  readonly head: Buffer;
  readonly #rest: AsyncIterator<Buffer>;
  #taken = false;

  private constructor(answer: HttpAnswer, head: Buffer, rest: AsyncIterator<Buffer>) {
    this.answer = answer;
    this.head = head;
    this.#rest = rest;
  }

  /**
   * Requests the whole resource as a range, so that the response shows whether the server supports ranges.
   *
   * @throws as `HttpClient.open`
   */
  static async open(http: HttpClient, url: string, signal: AbortSignal): Promise<OpenedResource> {
    const answer = await http.open(url, { signal, range: { start: 0 } });
    const rest = answer.body[Symbol.asyncIterator]();
    const parts: Buffer[] = [];
    let length = 0;
    while (length < HEAD_BYTES) {
      const { done, value } = await rest.next();
      if (done === true) break;
      parts.push(value);
      length += value.length;
    }
    return new OpenedResource(answer, parts.length === 1 ? (parts[0] ?? Buffer.alloc(0)) : Buffer.concat(parts), rest);
  }

  /** Returns all bytes of the resource, including those of `head`. It can be called once. */
  body(): AsyncIterable<Buffer> {
    if (this.#taken) throw new RoomcastError("InternalError", "The resource was read already.");
    this.#taken = true;
    return startingWith(this.head, this.#rest);
  }

  /**
   * Reads the whole resource as one document.
   *
   * @throws RoomcastError `SourceUnsupported` if it has more than `maxBytes`
   */
  async document(maxBytes: number): Promise<HttpDocument> {
    const parts: Buffer[] = [];
    let length = 0;
    for await (const chunk of this.body()) {
      parts.push(chunk);
      length += chunk.length;
      if (length > maxBytes) {
        const message = `The source is a text document of more than ${Math.round(maxBytes / 1024 / 1024)} MiB, not media.`;
        throw new RoomcastError("FailedOperation.SourceUnsupported", message);
      }
    }
    const { url, contentType } = this.answer;
    return { url, contentType, body: Buffer.concat(parts) };
  }

  /** Releases the connection, unless the body is being read. Idempotent. */
  async close(): Promise<void> {
    if (this.#taken) return;
    this.#taken = true;
    await this.#rest.return?.();
  }
}

async function* startingWith(head: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer, void> {
  try {
    if (head.length > 0) yield head;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}
