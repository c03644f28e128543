import { type EdgeFrame, encodeFrame } from "@roomcast/shared";

/** The longest close reason that is sent, in characters. RFC 6455, section 5.5, allows 123 bytes. */
const MAX_REASON_LENGTH = 120;

/** The data of a worker from its hello and its reports. Times are Unix ms. */
interface Known {
  readonly workerId: string;
  readonly instanceId: string;
  readonly version: string;
  /** The protocol version of the worker, which is used on this socket. It may be older than the edge's. */
  readonly protocol: number;
  readonly capacityUnits: number;
  readonly loadUnits: number;
  /** True if the worker itself has announced that it drains. */
  readonly draining: boolean;
  readonly connectedAtMs: number;
  readonly lastSeenMs: number;
}

/** The state of a worker's socket. It is the socket's attachment, so that it outlives hibernation. */
export type SocketState =
  /** The worker is connected and has not sent its hello yet. */
  | {
      readonly phase: "greeting";
      readonly workerId: string;
      readonly region: string;
      readonly deadlineMs: number;
      /** True if the deadline was extended, which happens once. The default is false. */
      readonly putOff?: boolean;
    }
  /** The worker's tasks are being compared with the Task objects. Until that is done, the worker gets no new tasks. */
  | (Known & { readonly phase: "reconciling"; readonly deadlineMs: number })
  | (Known & { readonly phase: "ready" })
  /** The socket is being closed, and its messages are ignored. */
  | { readonly phase: "gone" };

export type ReadySocket = SocketState & { readonly phase: "ready" };
export type GreetedSocket = SocketState & { readonly phase: "ready" | "reconciling" };

/** The region's sockets with their states. */
export class WorkerSockets {
  readonly #ctx: DurableObjectState;
  readonly #states = new Map<WebSocket, SocketState>();

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
    for (const socket of ctx.getWebSockets()) {
      // SAFETY: `set` wrote the attachment.
      const state = socket.deserializeAttachment() as SocketState | null;
      if (state !== null) this.#states.set(socket, state);
    }
  }

  accept(socket: WebSocket, state: SocketState): void {
    this.#ctx.acceptWebSocket(socket);
    this.set(socket, state);
  }

  get(socket: WebSocket): SocketState | undefined {
    return this.#states.get(socket);
  }

  set(socket: WebSocket, state: SocketState): void {
    this.#states.set(socket, state);
    socket.serializeAttachment(state);
  }

  send(socket: WebSocket, frame: EdgeFrame): void {
    try {
      socket.send(encodeFrame(frame));
    } catch {
      // The socket is closed, and its close event follows. The message is repeated after the next hello.
    }
  }

  /** Closes a socket. Its later messages are ignored. */
  close(socket: WebSocket, code: number, reason: string): void {
    // The state changes now, because the close event may come much later, or after this object was evicted and created
    // again.
    this.set(socket, { phase: "gone" });
    try {
      socket.close(code, reason.slice(0, MAX_REASON_LENGTH));
    } catch {
      // The socket is closed already.
    }
  }

  /**
   * Answers the close frame of the other side. The codes 1005 (no code) and 1006 (connection lost) are replaced,
   * because they must never be sent (RFC 6455, section 7.4.1).
   */
  answerClose(socket: WebSocket, code: number): void {
    try {
      socket.close(code === 1005 || code === 1006 ? 1000 : code);
    } catch {
      // The socket is closed already.
    }
  }

  remove(socket: WebSocket): void {
    this.#states.delete(socket);
  }

  /** Returns the sockets on which a worker has not sent its hello yet, the oldest first. */
  ungreeted(workerId: string): WebSocket[] {
    return [...this.#states]
      .flatMap(([socket, state]) =>
        state.phase === "greeting" && state.workerId === workerId ? { socket, deadlineMs: state.deadlineMs } : [],
      )
      .toSorted((one, other) => one.deadlineMs - other.deadlineMs)
      .map(({ socket }) => socket);
  }

  /** Returns a copy of the list, so that sockets may be changed during the iteration. */
  all(): [WebSocket, SocketState][] {
    return [...this.#states];
  }

  ready(): ReadySocket[] {
    return [...this.#states.values()].filter((state) => state.phase === "ready");
  }

  /** Returns the ids of the workers whose hello was accepted. */
  greetedIds(): string[] {
    return [...this.#states.values()].flatMap((state) =>
      state.phase === "ready" || state.phase === "reconciling" ? state.workerId : [],
    );
  }

  /** Returns the ids of the workers whose tasks are being compared with the Task objects. */
  reconcilingIds(): string[] {
    return [...this.#states.values()].flatMap((state) => (state.phase === "reconciling" ? state.workerId : []));
  }

  /** Returns the socket on which a worker's hello was accepted. */
  ofWorker(workerId: string): WebSocket | undefined {
    return this.greeted(workerId)?.[0];
  }

  /** Returns the socket on which a worker's hello was accepted, with its state. */
  greeted(workerId: string): [WebSocket, GreetedSocket] | undefined {
    for (const [socket, state] of this.#states) {
      if ((state.phase === "ready" || state.phase === "reconciling") && state.workerId === workerId) {
        return [socket, state];
      }
    }
    return undefined;
  }
}
