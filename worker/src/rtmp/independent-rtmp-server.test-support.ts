import { createRequire } from "node:module";
import net from "node:net";
import tls from "node:tls";

/** The used part of node-media-server: RTMP only, without its disk store, pages and fixed ports. */
interface ServerModule {
  new (): { readonly handleRequest: (socket: net.Socket) => void };
}
interface ContextModule {
  config: object;
  readonly eventEmitter: NodeJS.EventEmitter;
}
interface SessionInfo {
  readonly streamPath: string;
}

const require = createRequire(import.meta.url);

export interface IndependentRtmpServerOptions {
  /** PEM. If given, the server uses rtmps. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

/**
 * An independent RTMP server (npm node-media-server) on a free loopback port. For tests, because a client and a server
 * from the same project could share a mistake.
 */
export class IndependentRtmpServer {
  readonly port: number;
  readonly #server: net.Server;
  readonly #sockets: Set<net.Socket>;
  readonly #context: ContextModule;

  static async start(options: IndependentRtmpServerOptions = {}): Promise<IndependentRtmpServer> {
    // SAFETY: the package has no types. This is the form of the installed version, and tests fail if it changes.
    const context = require("node-media-server/src/core/context.js") as ContextModule;
    const RtmpServer = require("node-media-server/src/server/rtmp_server.js") as ServerModule;
    const logger = require("node-media-server/src/core/logger.js") as { level: string };
    // The tests provoke errors on purpose.
    logger.level = "none";
    Object.assign(logger, { error: () => undefined, info: () => undefined, log: () => undefined });
    context.config = {};
    const rtmp = new RtmpServer();
    const sockets = new Set<net.Socket>();
    const accept = (socket: net.Socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      rtmp.handleRequest(socket);
    };
    const server = options.tls === undefined ? net.createServer(accept) : tls.createServer(options.tls, accept);
    // A client that rejects the certificate is part of a test and not a failure.
    server.on("tlsClientError", () => undefined);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new IndependentRtmpServer(server, sockets, context);
  }

  constructor(server: net.Server, sockets: Set<net.Socket>, context: ContextModule) {
    this.#server = server;
    this.#sockets = sockets;
    this.#context = context;
    // SAFETY: a listening TCP server's address is an AddressInfo.
    this.port = (server.address() as net.AddressInfo).port;
  }

  /** Resolves when a player plays the stream `/app/name`. */
  played(streamPath: string): Promise<void> {
    return this.#session("postPlay", streamPath);
  }

  /** Resolves when a publisher publishes the stream `/app/name`. */
  published(streamPath: string): Promise<void> {
    return this.#session("postPublish", streamPath);
  }

  /**
   * Ends all connections after everything that is queued on them has been sent. Without this, players of a stream whose
   * publisher left wait without end.
   */
  endConnections(): void {
    for (const socket of this.#sockets) socket.end();
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #session(event: string, streamPath: string): Promise<void> {
    return new Promise((resolve) => {
      const heard = (session: SessionInfo) => {
        if (session.streamPath !== streamPath) return;
        this.#context.eventEmitter.off(event, heard);
        resolve();
      };
      this.#context.eventEmitter.on(event, heard);
    });
  }
}
