import type { Socket } from "node:net";
import { type AmfObject, type AmfValue, amfEntries } from "./amf0.ts";
import { isCommand, type RtmpMessage, readCommand } from "./message.ts";
import { RtmpConnection } from "./rtmp-connection.ts";

/** A status that a server has sent about a connection or a stream (Adobe RTMP 1.0, sections 7.2.1.1 and 7.2.2). */
export interface RtmpStatus {
  /** `status`, `warning` or `error`. */
  readonly level: string;
  /** For example `NetStream.Publish.Start`. */
  readonly code: string;
  /** The server's description, which may contain secrets. */
  readonly description: string;
  /** The whole answer as JSON, for the log. It may contain secrets. */
  readonly raw?: string;
}

/** The error if a server answered a command with `_error`. */
export class RtmpCallError extends Error {
  override readonly name = "RtmpCallError";
  readonly status: RtmpStatus;

  constructor(status: RtmpStatus) {
    super(`The server answered ${status.code}.`);
    this.status = status;
  }
}

export interface RtmpClientOptions {
  readonly socket: Socket;
  readonly onStatus: (status: RtmpStatus) => void;
  /** Audio, video, data and user control messages. */
  readonly onMessage: (message: RtmpMessage) => void;
  /** Called once, after all unanswered calls have been rejected. See `RtmpConnectionOptions.onClose`. */
  readonly onClose: (error: Error | undefined) => void;
}

interface PendingCall {
  readonly resolve: (values: readonly AmfValue[]) => void;
  readonly reject: (error: Error) => void;
}

/** The client's side of a connection: it sends commands and receives their answers. Publishers and players use it. */
export class RtmpClient {
  readonly connection: RtmpConnection;
  readonly #options: RtmpClientOptions;
  readonly #ready = Promise.withResolvers<void>();
  readonly #calls = new Map<number, PendingCall>();
  #lastTransactionId = 0;

  constructor(options: RtmpClientOptions) {
    this.#options = options;
    // Nobody may be waiting for `ready` when the connection breaks, which must not count as an unhandled rejection.
    this.#ready.promise.catch(() => undefined);
    this.connection = new RtmpConnection({
      socket: options.socket,
      role: "client",
      onReady: () => this.#ready.resolve(),
      onMessage: (message) => this.#receive(message),
      onClose: (error) => this.#close(error),
    });
  }

  /** Resolves when the handshake is done. Rejects if the connection ends before that. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /**
   * Sends a command (section 7.2.1) and waits for its answer.
   *
   * @returns the values of the answer: the command object, and then the others
   * @throws RtmpCallError for `_error`; another Error if the connection ends before the answer.
   */
  call(name: string, ...values: readonly AmfValue[]): Promise<readonly AmfValue[]> {
    return this.callOn(0, name, ...values);
  }

  /** Works like `call`, but sends the command on a stream. */
  callOn(streamId: number, name: string, ...values: readonly AmfValue[]): Promise<readonly AmfValue[]> {
    const answer = Promise.withResolvers<readonly AmfValue[]>();
    // Of several pending calls, only the first failure is reported. The others must not count as unhandled.
    answer.promise.catch(() => undefined);
    this.#calls.set(this.#nextTransactionId(), answer);
    this.connection.sendCommand(streamId, { name, transactionId: this.#lastTransactionId, values });
    return answer.promise;
  }

  /** Sends a command without waiting for its answer, because some servers do not answer it. */
  send(streamId: number, name: string, ...values: readonly AmfValue[]): void {
    this.connection.sendCommand(streamId, { name, transactionId: this.#nextTransactionId(), values });
  }

  #nextTransactionId(): number {
    this.#lastTransactionId += 1;
    return this.#lastTransactionId;
  }

  #receive(message: RtmpMessage): void {
    const command = readCommand(message);
    if (command === null) {
      // An unreadable command is ignored, which other clients do too.
      if (!isCommand(message)) this.#options.onMessage(message);
      return;
    }
    const { name, transactionId, values } = command;
    if (name === "onStatus") {
      this.#options.onStatus(statusOf(values));
      return;
    }
    const call = this.#calls.get(transactionId);
    if (call === undefined) {
      // An error without the number of a command is reported as a status. An error for a command whose answer is not awaited is
      // ignored.
      if (name === "_error" && transactionId === 0) this.#options.onStatus({ ...statusOf(values), level: "error" });
      return;
    }
    if (name === "_result") call.resolve(values);
    else if (name === "_error") call.reject(new RtmpCallError(statusOf(values)));
    else return;
    this.#calls.delete(transactionId);
  }

  #close(error: Error | undefined): void {
    const why = error ?? new Error("The connection was closed.");
    this.#ready.reject(why);
    for (const call of this.#calls.values()) call.reject(why);
    this.#calls.clear();
    this.#options.onClose(error);
  }
}

/** Returns the stream id in the answer to `createStream` (section 7.2.1.3), or null if there is none. */
export function createdStreamId(values: readonly AmfValue[]): number | null {
  const id = values[1];
  return typeof id === "number" && id >= 0 && id <= 0xffffffff && Number.isInteger(id) ? id : null;
}

const MAX_RAW_LENGTH = 2000;

/**
 * Reads the information object, which follows the command object. Some servers send it as the first value, or send a string
 * instead.
 */
function statusOf(values: readonly AmfValue[]): RtmpStatus {
  const objects = [values[1], values[0], ...values.slice(2)].map(amfEntries).filter((object) => object !== null);
  const info: AmfObject = objects.find((object) => object["code"] !== undefined) ?? objects[0] ?? {};
  const words = values.find((value) => typeof value === "string");
  return {
    level: textOf(info["level"]),
    code: textOf(info["code"]),
    description: textOf(info["description"] ?? info["details"] ?? words),
    raw: JSON.stringify(values).slice(0, MAX_RAW_LENGTH),
  };
}

function textOf(value: AmfValue): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}
