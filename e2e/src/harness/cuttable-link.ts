import { connect, createServer, type Socket } from "node:net";
import { type LoopbackServer, listenOnLoopback } from "./loopback-servers.ts";

/** A TCP relay that can cut what goes through it. */
export interface CuttableLink extends LoopbackServer {
  /** How many connections came so far. */
  readonly connections: number;
  /** Ends all connections without a word; new ones are let through. */
  cut(): void;
}

/**
 * Relays connections to a port of this machine.
 *
 * @param delayMs how long each connection has to wait before anything goes through
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
