import { once } from "node:events";
import { createServer } from "node:net";

/** A port of the loopback interface that was free a moment ago. Who can, listens on port 0 instead. */
export function freePort(): Promise<number> {
  return portOf(0);
}

/** The guard of a port listens so much above it. */
const GUARD_OFFSET = 21_000;

/**
 * Returns the preferred port if it is free and unclaimed, else another one. Between the claim and the start of the
 * listener the port itself is free. A second port, its guard, holds the claim, and the system frees it when this process
 * ends in any way.
 */
export async function claimPort(wished: number): Promise<number> {
  const guard = createServer().listen({ host: "127.0.0.1", port: wished + GUARD_OFFSET, exclusive: true });
  try {
    await once(guard, "listening");
  } catch {
    return freePort();
  }
  guard.unref();
  return portOf(wished).catch(() => {
    guard.close();
    return freePort();
  });
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
 * Runs `start` with a free port, and with another one if the first was taken in between.
 *
 * @param isPortTaken returns true if an error of `start` means that the port is taken
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
