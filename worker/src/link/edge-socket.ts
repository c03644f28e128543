import { CLOSE, type EdgeFrameOf, encodeFrame, type WorkerFrame } from "@roomcast/shared";
import type { RawData, WebSocket } from "ws";

/** The end of one socket to the edge. */
export type SocketEnd =
  | { readonly name: "stopped" }
  | { readonly name: "lost"; readonly error: Error }
  /** The edge refused the token. */
  | { readonly name: "unauthorized"; readonly error: Error }
  /** Another process with the same worker id replaced this one. */
  | { readonly name: "replaced" }
  | { readonly name: "protocolMismatch"; readonly edgeProtocol: number | null };

export interface EdgeSocketOptions {
  readonly dial: () => WebSocket;
  readonly welcomeTimeoutMs: number;
  readonly signal: AbortSignal;
  readonly onOpen: () => void;
  readonly onText: (text: unknown) => void;
}

/** The queued bytes above which the network counts as too slow. */
const CONGESTED_BYTES = 1024 * 1024;
/** The longest time that the edge may take to answer a close, ms. */
const CLOSE_TIMEOUT_MS = 250;

/** One WebSocket to the edge, which is closed when the edge is silent for too long. */
export class EdgeSocket {
  readonly #socket: WebSocket;
  readonly #options: EdgeSocketOptions;
  readonly #ended = Promise.withResolvers<SocketEnd>();
  #end: SocketEnd | undefined;
  #silence: NodeJS.Timeout | undefined;
  #silentAfterMs: number;
  #closing: NodeJS.Timeout | undefined;
  /** Called at each `welcome`. */
  onWelcome: ((welcome: EdgeFrameOf<"welcome">) => void) | undefined;

  constructor(options: EdgeSocketOptions) {
    this.#options = options;
    this.#silentAfterMs = options.welcomeTimeoutMs;
    this.#socket = options.dial();
    this.#socket.on("open", () => options.onOpen());
    this.#socket.on("message", (data, isBinary) => this.#onMessage(data, isBinary));
    this.#socket.on("unexpected-response", (_request, response) => {
      response.resume();
      this.end(refusal(response.statusCode ?? 0));
    });
    this.#socket.on("error", (error) => {
      this.#end ??= { name: "lost", error };
    });
    this.#socket.on("close", (code, reason) => this.#onClose(code, reason.toString()));
    options.signal.addEventListener("abort", this.#stop, { once: true });
    if (options.signal.aborted) this.#stop();
    this.#watch();
  }

  /** Resolves once the socket is closed. */
  get ended(): Promise<SocketEnd> {
    return this.#ended.promise;
  }

  /** True while the network is slower than the sending side. */
  get congested(): boolean {
    return this.#socket.bufferedAmount > CONGESTED_BYTES;
  }

  send(frame: WorkerFrame): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(encodeFrame(frame));
  }

  /** Records the welcome, which says how long the edge may be silent. */
  welcomed(welcome: EdgeFrameOf<"welcome">): void {
    this.#silentAfterMs = welcome.heartbeatTimeoutMs;
    this.#watch();
    this.onWelcome?.(welcome);
  }

  close(code: number, reason: string): void {
    // RFC 6455, section 5.5: the reason has at most 123 bytes.
    this.#socket.close(
      code,
      Buffer.from(reason)
        .subarray(0, 123)
        .toString("utf8")
        .replace(/\uFFFD$/, ""),
    );
    this.#closing ??= setTimeout(() => this.#socket.terminate(), CLOSE_TIMEOUT_MS);
  }

  /** Ends the socket from this side, for the given reason. */
  end(end: SocketEnd): void {
    this.#end ??= end;
    if (this.#socket.readyState === this.#socket.OPEN) this.close(1000, "");
    else this.#socket.terminate();
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    if (this.#end !== undefined) return;
    this.#watch();
    // SAFETY: ws gives one Buffer unless its binaryType is changed.
    this.#options.onText(isBinary ? data : (data as Buffer).toString("utf8"));
  }

  /** Restarts the timer for silence. Silence is the only sign of a half-open socket. */
  #watch(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#end ??= { name: "lost", error: new Error(`the edge was silent for ${this.#silentAfterMs} ms`) };
      this.close(CLOSE.silent, "silent");
    }, this.#silentAfterMs);
  }

  readonly #stop = (): void => {
    this.end({ name: "stopped" });
  };

  #onClose(code: number, reason: string): void {
    clearTimeout(this.#silence);
    clearTimeout(this.#closing);
    this.#options.signal.removeEventListener("abort", this.#stop);
    this.#ended.resolve(this.#end ?? closeMeaning(code, reason));
  }
}

function refusal(status: number): SocketEnd {
  const error = new Error(`the edge answered HTTP ${status}`);
  if (status === 401 || status === 403) return { name: "unauthorized", error };
  if (status === 426) return { name: "protocolMismatch", edgeProtocol: null };
  return { name: "lost", error };
}

function closeMeaning(code: number, reason: string): SocketEnd {
  const error = new Error(`the edge closed the socket: ${code} ${reason}`.trim());
  if (code === CLOSE.unauthorized) return { name: "unauthorized", error };
  if (code === CLOSE.replaced) return { name: "replaced" };
  if (code === CLOSE.protocolMismatch) return { name: "protocolMismatch", edgeProtocol: null };
  return { name: "lost", error };
}
