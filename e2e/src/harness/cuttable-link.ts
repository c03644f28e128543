import { connect, createServer, type Socket } from "node:net";
import { type LoopbackServer, listenOnLoopback } from "./loopback-servers.ts";

/** A TCP relay that can cut its connections. */
export interface CuttableLink extends LoopbackServer {
  /** The number of connections so far. */
  readonly connections: number;
  /** Destroys all connections without a close message. New ones are let through. */
  cut(): void;
}

/**
 * Relays connections to a port of this machine.
 *
 * @param delayMs the delay before anything passes on a new connection
 */
export async function startCuttableLink(targetPort: number, delayMs = 0): Promise<CuttableLink> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const own = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).once("close", () => sockets.delete(socket));
  };
  const server = await listenOnLoopback(
    createServer((near) => {
      connections += 1;
      const far = connect(targetPort, "127.0.0.1");
      for (const socket of [near, far]) own(socket);
      setTimeout(() => near.pipe(far).pipe(near), delayMs);
      near.once("close", () => far.destroy());
      far.once("close", () => near.destroy());
    }),
  );
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: server.port,
    get connections() {
      return connections;
    },
    cut,
    stop: async () => {
      cut();
      await server.stop();
    },
  };
}
