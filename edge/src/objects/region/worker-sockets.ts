import { type EdgeFrame, encodeFrame } from "@roomcast/shared";

/** RFC 6455, section 5.5: a close reason has at most 123 bytes. */
const MAX_REASON_LENGTH = 120;

/** What is known of a worker from its hello and its reports. Times are Unix ms. */
interface Known {
  readonly workerId: string;
  readonly instanceId: string;
  readonly version: string;
  /** Of the socket: the worker's, which may be one older than ours. */
  readonly protocol: number;
  readonly capacityUnits: number;
  readonly loadUnits: number;
  /** It says so itself. */
  readonly draining: boolean;
  readonly connectedAtMs: number;
  readonly lastSeenMs: number;
}

/** A worker socket's state; it is the socket's attachment, so that it outlives hibernation. */
export type SocketState =
  /** Connected, no hello yet. */
  | { readonly phase: "greeting"; readonly workerId: string; readonly region: string; readonly deadlineMs: number }
  /** The tasks that it said it runs are being compared with the truth; it gets no new ones. */
  | (Known & { readonly phase: "reconciling"; readonly deadlineMs: number })
  | (Known & { readonly phase: "ready" })
  /** Being closed; nothing that it still says counts. */
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
      // It is closed, and its close event follows; what was said is said again after the next hello.
    }
  }

  /** Closes a socket; nothing that it still says counts. */
  close(socket: WebSocket, code: number, reason: string): void {
    // Its close event may come much later, or in another life of this object.
    this.set(socket, { phase: "gone" });
    try {
      socket.close(code, reason.slice(0, MAX_REASON_LENGTH));
    } catch {
      // It is closed already.
    }
  }

  /** Returns the close frame of the other side; codes that stand for "none" and "broken off" are never sent (RFC 6455, 7.4.1). */
  answerClose(socket: WebSocket, code: number): void {
    try {
      socket.close(code === 1005 || code === 1006 ? 1000 : code);
    } catch {
      // It is closed already.
    }
  }

  remove(socket: WebSocket): void {
    this.#states.delete(socket);
  }

  /** As they are now; they may be changed while the caller goes through them. */
  all(): [WebSocket, SocketState][] {
    return [...this.#states];
  }

  ready(): ReadySocket[] {
    return [...this.#states.values()].filter((state) => state.phase === "ready");
  }

  /** The workers that have said hello. */
  greetedIds(): string[] {
    return [...this.#states.values()].flatMap((state) =>
      state.phase === "ready" || state.phase === "reconciling" ? state.workerId : [],
    );
  }

  /** The workers whose tasks are being compared with the truth. */
  reconcilingIds(): string[] {
    return [...this.#states.values()].flatMap((state) => (state.phase === "reconciling" ? state.workerId : []));
  }

  /** The socket on which a worker has said hello. */
  ofWorker(workerId: string): WebSocket | undefined {
    return this.greeted(workerId)?.[0];
  }

  /** The socket on which a worker has said hello, with its state. */
  greeted(workerId: string): [WebSocket, GreetedSocket] | undefined {
    for (const [socket, state] of this.#states) {
      if ((state.phase === "ready" || state.phase === "reconciling") && state.workerId === workerId) {
        return [socket, state];
      }
    }
    return undefined;
  }
}
