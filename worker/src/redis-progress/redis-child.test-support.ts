import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { createInterface } from "node:readline";

export interface RedisChild {
  readonly port: number;
  /** Kills the server with SIGKILL. Resolves when it has exited. */
  kill(): Promise<void>;
}

export interface StartRedisChildOptions {
  readonly port: number;
  readonly password?: string;
  /** Additional arguments of the server, such as `["--maxmemory", "1"]`. */
  readonly settings?: readonly string[];
}

/** Returns a port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  // SAFETY: a TCP server that listens has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Starts a real redis-server, in memory only, for tests. Resolves once it accepts connections. */
export async function startRedisChild(options: StartRedisChildOptions): Promise<RedisChild> {
  const { port, password, settings = [] } = options;
  const args = ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
  if (password !== undefined) args.push("--requirepass", password);
  args.push(...settings);
  const child = spawn("redis-server", args, { stdio: ["ignore", "pipe", "inherit"] });
  await ready(child);
  return {
    port,
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    },
  };
}

async function ready(child: ChildProcess): Promise<void> {
  if (child.stdout === null) throw new Error("redis-server has no stdout");
  for await (const line of createInterface(child.stdout)) {
    if (line.includes("Ready to accept connections")) {
      child.stdout.resume();
      return;
    }
  }
  throw new Error("redis-server ended before it was ready");
}
