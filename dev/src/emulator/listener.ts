import type { AddressInfo, Server } from "node:net";

/** Resolves with the port once the server listens. */
export async function listen(server: Server, port: number, host: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(port, host, resolve);
  await promise;
  server.off("error", reject);
  // SAFETY: a TCP server that listens has an AddressInfo; only pipes have a text.
  return (server.address() as AddressInfo).port;
}

/** Takes no more connections; resolves when the last one has closed. A server that never listened is closed already. */
export function closeServer(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  return promise;
}
