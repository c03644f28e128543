import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

export interface LoopbackServer {
  readonly port: number;
  /** Closes the server and cuts all connections. Idempotent. */
  stop(): Promise<void>;
}

/** Starts a server that accepts connections and never sends anything. */
export function startSilentServer(): Promise<LoopbackServer> {
  return listenOnLoopback(createServer());
}

/** Starts a server that answers every HTTP request with a redirect to one URL. */
export function startRedirectingServer(location: string): Promise<LoopbackServer> {
  return listenOnLoopback(
    createHttpServer((_request, response) => response.writeHead(302, { Location: location }).end()),
  );
}

/** Listens on a free port. */
export async function listenOnLoopback(server: Server): Promise<LoopbackServer> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).once("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // SAFETY: a listening TCP server's address is an AddressInfo.
  const { port } = server.address() as AddressInfo;
  let stopping: Promise<unknown> | undefined;
  return {
    port,
    stop: async () => {
      stopping ??= once(server.close(), "close");
      for (const socket of sockets) socket.destroy();
      await stopping;
    },
  };
}
