import { randomBytes } from "node:crypto";
import { withFreePort } from "./free-port.ts";
import { type ProcessHandle, startProcess } from "./process-handle.ts";
import { makeTempFolder } from "./temp-folder.ts";

export interface StartRedisOptions {
  /** Without it a free one is taken. Given, a restarted server is found where it was. */
  readonly port?: number;
  /** Without it a random one is made. */
  readonly password?: string;
}

/** A real redis-server that keeps nothing on disk. */
export interface RedisHandle {
  readonly host: string;
  readonly port: number;
  readonly password: string;
  /** Idempotent. */
  stop(): Promise<void>;
  /** As a crash would end it. */
  kill(): Promise<void>;
}

const HOST = "127.0.0.1";
const READY_TIMEOUT_MS = 15_000;

/**
 * Starts the redis-server of `REDIS_SERVER_PATH`, else of PATH.
 *
 * @throws Error when it does not start, for example because the given port is taken.
 */
export async function startRedis(options: StartRedisOptions = {}): Promise<RedisHandle> {
  const password = options.password ?? randomBytes(18).toString("base64url");
  const { port } = options;
  return port === undefined ? withFreePort((free) => startOn(free, password), isPortTaken) : startOn(port, password);
}

async function startOn(port: number, password: string): Promise<RedisHandle> {
  const folder = await makeTempFolder();
  const ready = Promise.withResolvers<void>();
  let server: ProcessHandle | undefined;
  try {
    server = await startProcess({
      name: "redis-server",
      command: process.env["REDIS_SERVER_PATH"] ?? "redis-server",
      args: ["-"],
      // The configuration is passed by standard input, so that the password is in no argument and in no file.
      stdin: `bind ${HOST}\nport ${port}\nrequirepass ${password}\nsave ""\nappendonly no\ndir ${folder.path}\n`,
      env: process.env,
      onLine: (line) => {
        if (line.includes("Ready to accept connections")) ready.resolve();
      },
    });
    await server.untilReady(ready.promise, READY_TIMEOUT_MS);
  } catch (error) {
    await server?.stop();
    await folder.remove();
    throw error;
  }
  const started = server;
  return {
    host: HOST,
    port,
    password,
    stop: async () => {
      await started.stop();
      await folder.remove();
    },
    kill: async () => {
      await started.kill();
      await folder.remove();
    },
  };
}

function isPortTaken(error: unknown): boolean {
  return error instanceof Error && error.message.includes("Address already in use");
}
