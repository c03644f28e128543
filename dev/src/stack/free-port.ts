import { once } from "node:events";
import { createServer } from "node:net";

/** A port of the loopback interface that was free a moment ago. Who can, listens on port 0 instead. */
export function freePort(): Promise<number> {
  return portOf(0);
}

/** The wished port where it is free, else another one. */
export function freePortLike(wished: number): Promise<number> {
  return portOf(wished).catch(() => portOf(0));
}

async function portOf(wished: number): Promise<number> {
  const server = createServer().listen(wished, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("A TCP server has no port.");
  return address.port;
}

const ATTEMPTS = 5;

/**
 * Runs `start` with a free port; with another one when that was taken in between.
 *
 * @param isPortTaken whether an error of `start` says so
 */
export async function withFreePort<T>(
  start: (port: number) => Promise<T>,
  isPortTaken: (error: unknown) => boolean,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePort());
    } catch (error) {
      if (attempt === ATTEMPTS || !isPortTaken(error)) throw error;
    }
  }
}
