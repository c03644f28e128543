import { once } from "node:events";
import { connect, createServer } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { freePort } from "./free-port.ts";
import { type RedisHandle, startRedis } from "./start-redis.ts";

const started: RedisHandle[] = [];

async function start(...args: Parameters<typeof startRedis>): Promise<RedisHandle> {
  const redis = await startRedis(...args);
  started.push(redis);
  return redis;
}

afterEach(async () => {
  await Promise.all(started.splice(0).map((redis) => redis.stop()));
});

/** Returns the answer of Redis to inline RESP commands, or the code of the connection's error. */
async function ask(port: number, commands: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    socket.end(commands);
    let answer = "";
    for await (const chunk of socket.setEncoding("utf8")) answer += chunk;
    return answer;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  } finally {
    socket.destroy();
  }
}

describe("startRedis", () => {
  it("starts a Redis that answers clients with its password and refuses others", async () => {
    const redis = await start();
    expect(await ask(redis.port, `AUTH ${redis.password}\r\nPING\r\nQUIT\r\n`)).toContain("+PONG");
    expect(await ask(redis.port, "PING\r\nQUIT\r\n")).toContain("NOAUTH");
  });

  it("leaves no listener after stop(), and a second stop() does nothing", async () => {
    const redis = await start();
    await redis.stop();
    await redis.stop();
    expect(await ask(redis.port, "PING\r\n")).toBe("ECONNREFUSED");
  });

  it("starts a Redis at the port of one that was killed", async () => {
    const port = await freePort();
    const first = await start({ port });
    await first.kill();
    const second = await start({ port, password: first.password });
    expect(await ask(second.port, `AUTH ${first.password}\r\nPING\r\nQUIT\r\n`)).toContain("+PONG");
  });

  it("throws an error that names the cause when the given port is taken", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = other.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    await expect(startRedis({ port })).rejects.toThrow("Address already in use");
    other.close();
  });

  it("throws an error that names redis-server when it cannot be started", async () => {
    vi.stubEnv("REDIS_SERVER_PATH", "/nowhere/redis-server");
    await expect(startRedis()).rejects.toThrow(/redis-server cannot be started: .*ENOENT/);
    vi.unstubAllEnvs();
  });
});
