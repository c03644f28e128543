import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { promisify } from "node:util";
import { type PushRequest, pushRequestSchema, RoomcastError, validate } from "@roomcast/shared";
import { Redis } from "ioredis";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../base/eventually.test-support.ts";
import { progressKey } from "./progress-record.ts";
import { ProgressStore, type ProgressStoreOptions } from "./progress-store.ts";
import { freePort, startRedisChild } from "./redis-child.test-support.ts";

const run = promisify(execFile);
const TASK = "11111111-1111-4111-8111-111111111111";
const cleanUps: (() => Promise<unknown>)[] = [];
let lines: { msg: string; level: number; err?: { message: string } }[];

beforeEach(() => {
  lines = [];
});

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

const log = pino({ level: "info" }, { write: (line) => lines.push(JSON.parse(line)) });

/** Starts a real server with these settings. Returns its port. */
async function server(...settings: string[]): Promise<number> {
  const port = await freePort();
  const child = await startRedisChild({ port, settings });
  cleanUps.push(() => child.kill());
  return port;
}

async function startAt(address: string, port: number, ...settings: string[]): Promise<void> {
  const child = await startRedisChild({ port, settings: ["--bind", address, ...settings] });
  cleanUps.push(() => child.kill());
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "roomcast-redis-"));
  cleanUps.push(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function listener(onConnection: (socket: Socket) => void): Promise<number> {
  const listening = createServer(onConnection).listen(0, "127.0.0.1");
  await once(listening, "listening");
  cleanUps.push(async () => listening.close());
  // SAFETY: a TCP server that listens has an AddressInfo.
  return (listening.address() as AddressInfo).port;
}

function requestFor(redis: Record<string, unknown>): PushRequest {
  return validate(pushRequestSchema, {
    VideoSrc: "https://media.example.com/clip.mp4?key=hidden",
    SdkAppId: 1400000001,
    StrRoomId: "class_1",
    UserId: "teacher",
    UserSig: "eJxsig",
    Redis: true,
    RedisHost: "127.0.0.1",
    ...redis,
  });
}

function open(redis: Record<string, unknown>, options: Partial<ProgressStoreOptions> = {}) {
  const store = new ProgressStore({
    resolve: () => Promise.resolve({ address: "127.0.0.1" }),
    timeoutMs: 2_000,
    intervalMs: 20,
    flushTimeoutMs: 1_000,
    lingerMs: 1_000,
    ...options,
  });
  cleanUps.push(() => store.stop());
  return store.open({ taskId: TASK, attempt: 1, request: requestFor(redis), log });
}

const values = (positionMs: number) => ({ item: 0, positionMs, durationMs: 30_000, state: "pushing" as const });

/** Plays for a while and returns the final record. */
async function played(redis: Record<string, unknown>, positionMs: number): Promise<void> {
  const progress = await open(redis);
  progress.track(() => values(1));
  await progress.close(values(positionMs));
}

async function refusal(redis: Record<string, unknown>, options: Partial<ProgressStoreOptions> = {}) {
  const thrown: unknown = await open(redis, options).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof RoomcastError)) throw new Error("expected a RoomcastError");
  // Neither the script nor its arguments appear in an error.
  expect(JSON.stringify([thrown.message, String(thrown.cause)])).not.toMatch(/redis\.call|hidden|script:|S3CRET/);
  return thrown;
}

async function inspect(port: number, db = 0, host = "127.0.0.1"): Promise<Redis> {
  const client = new Redis({ host, port, db, retryStrategy: () => null });
  client.on("error", () => {});
  cleanUps.push(async () => client.disconnect());
  return client;
}

const key = () => progressKey(requestFor({}));

describe("a Redis that cannot keep progress is refused at the start with its own reason", () => {
  const replica = async () => {
    const primary = await server();
    return server("--replicaof", "127.0.0.1", `${primary}`);
  };
  const cluster = async () => server("--cluster-enabled", "yes", "--dir", await folder());

  it.each<[string, () => Promise<number>, Record<string, unknown>, string, RegExp, RegExp]>([
    ["a replica", replica, {}, "Refused", /replica that takes no writes: give the address of its primary/, /READONLY/],
    ["a full one", () => server("--maxmemory", "1"), {}, "Refused", /is full: give it more memory/, /OOM command not/],
    [
      "one whose EVAL is switched off",
      () => server("--rename-command", "EVAL", ""),
      {},
      "Refused",
      /lacks a command.*EVAL, HGETALL, HMGET, HSET and PEXPIRE on the keys roomcast:progress/,
      /unknown command 'EVAL'$/,
    ],
    [
      "a user without EVAL",
      () => server("--user", "default", "on", "nopass", "~*", "+@all", "-eval"),
      {},
      "Refused",
      /does not allow this user.*EVAL/,
      /NOPERM.*'eval' command/,
    ],
    [
      "a user who may run scripts and not write",
      () => server("--user", "default", "on", "nopass", "~*", "+@all", "-hset"),
      {},
      "Refused",
      /does not allow this user/,
      /executing the script/,
    ],
    [
      "a user for other keys",
      () => server("--user", "default", "on", "nopass", "~other:*", "+@all"),
      {},
      "Refused",
      /does not allow this user.*keys roomcast:progress/,
      /NOPERM/,
    ],
    [
      "a wrong user",
      () => server("--user", "player", "on", ">S3CRET-S3CRET", "~*", "+@all"),
      { RedisUser: "pleyer", RedisPassword: "S3CRET-S3CRET" },
      "Refused",
      /check RedisUser and RedisPassword/,
      /WRONGPASS/,
    ],
    ["a cluster without this record's slot", cluster, {}, "Unreachable", /cluster that is down/, /CLUSTERDOWN/],
    ["a number that no database has", () => server(), { RedisDb: 99 }, "Refused", /check RedisDb/, /DB index/],
    [
      "a server that holds something else under the key",
      async () => {
        const port = await server();
        await (await inspect(port)).set(key(), "mine");
        return port;
      },
      {},
      "Refused",
      /something else under the key/,
      /WRONGTYPE/,
    ],
  ])("%s", async (_what, start, redis, code, says, reason) => {
    const error = await refusal({ RedisPort: await start(), ...redis });
    expect(error.code).toBe(`FailedOperation.Redis${code}`);
    expect(error.message).toMatch(says);
    expect(error.message.split("It says: ")[1]).toMatch(reason);
  });

  it.each<[string, string, string, RegExp]>([
    [
      "a node of a cluster that another node is asked for",
      "MOVED 7 10.0.0.9:6379",
      "Refused",
      /no cluster, or a proxy/,
    ],
    ["one that loads its data", "LOADING Redis is loading the dataset in memory", "Unreachable", /still loading/],
    ["one that cannot save", "MISCONF Redis is configured to save RDB snapshots", "Refused", /takes no writes now/],
    ["one that is not open for this network", "DENIED Redis is running in protected mode", "Refused", /protected mode/],
    ["one with too many clients", "ERR max number of clients reached", "Unreachable", /too many clients/],
    ["one that complains of what nobody has heard of", "ERR out of cheese", "Refused", /must take EVAL/],
    [
      "an old one that wraps the errors of scripts",
      "ERR Error running script (call to f_4a5b): @user_script:9: @user_script: 9: -OOM command not allowed",
      "Refused",
      /is full.*It says: OOM command not allowed$/,
    ],
  ])("%s", async (_what, answer, code, says) => {
    const port = await listener((socket) =>
      socket.on("error", () => {}).on("data", () => socket.write(`-${answer}\r\n`)),
    );
    const error = await refusal({ RedisPort: port });
    expect(error.code).toBe(`FailedOperation.Redis${code}`);
    expect(error.message).toMatch(says);
    expect(error.message).toContain("It says: ");
  });

  it.each([
    ["a null text", "$-1\r\n"],
    ["a null list", "*-1\r\n"],
    ["a RESP3 null", "_\r\n"],
    ["a push without a kind", ">1\r\n$-1\r\n"],
  ])("a server that says %s when nobody has asked, which ends its connection and nothing else", async (_name, text) => {
    const port = await listener((socket) => {
      socket.on("error", () => {}).on("data", () => socket.write(`+OK\r\n${text}${text}${text}`));
    });
    const error = await refusal({ RedisPort: port });
    expect(error.code).toMatch(/^FailedOperation\.Redis(?:Refused|Unreachable)$/);
  });

  it("a server that answers without end, which is not listened to any longer", async () => {
    const closed = Promise.withResolvers<void>();
    const port = await listener((socket) => {
      const answers = Buffer.from("+OK\r\n".repeat(10_000));
      const flood = () => {
        while (!socket.destroyed && socket.write(answers));
      };
      socket.on("error", () => {}).on("close", () => closed.resolve());
      socket.once("data", flood).on("drain", flood);
    });
    const error = await refusal({ RedisPort: port });
    expect(error.code).toBe("FailedOperation.RedisUnreachable");
    await closed.promise;
  });

  it("a web server", async () => {
    const port = await listener((socket) =>
      socket.on("error", () => {}).on("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
    );
    expect((await refusal({ RedisPort: port })).message).toMatch(/does not speak Redis' protocol: check RedisHost/);
  });

  it.each<[string, (socket: Socket) => void]>([
    ["closes", (socket) => socket.end()],
    ["resets", (socket) => socket.resetAndDestroy()],
  ])("a server that %s the connection without an answer, as one that takes TLS alone does", async (_how, end) => {
    const port = await listener((socket) => socket.on("error", () => {}).on("data", () => end(socket)));
    const error = await refusal({ RedisPort: port });
    expect(error.code).toBe("FailedOperation.RedisUnreachable");
    expect(error.message).toContain('if it takes TLS alone, send "RedisTls": true');
  });

  it("leaves no trace in a Redis that is not played from in the end", async () => {
    const port = await server();
    const progress = await open({ RedisPort: port });
    await progress.close(values(5));
    expect((await open({ RedisPort: port })).found).toBeNull();
  });
});

describe("a Redis as people have it", () => {
  it("needs no password", async () => {
    const port = await server();
    await played({ RedisPort: port }, 4_000);
    expect(await (await inspect(port)).hget(key(), "PositionMs")).toBe("4000");
  });

  it("has a user who may do what progress needs and nothing else", async () => {
    const port = await server(
      ..."--user player on >S3CRET-S3CRET ~roomcast:progress:* +eval +hgetall +hmget +hset +pexpire +ping".split(" "),
    );
    await played({ RedisPort: port, RedisUser: "player", RedisPassword: "S3CRET-S3CRET" }, 4_000);
    expect(await (await inspect(port)).hget(key(), "PositionMs")).toBe("4000");
  });

  it("has numbered databases", async () => {
    const port = await server();
    await played({ RedisPort: port, RedisDb: 5 }, 4_000);
    expect(await (await inspect(port, 5)).hget(key(), "PositionMs")).toBe("4000");
    expect(await (await inspect(port)).exists(key())).toBe(0);
  });

  it("is a cluster of one node", async () => {
    const port = await server("--cluster-enabled", "yes", "--dir", await folder());
    const client = await inspect(port);
    await client.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
    await eventually(async () => expect(await client.call("CLUSTER", "INFO")).toContain("cluster_state:ok"));
    await played({ RedisPort: port }, 4_000);
    expect(await client.hget(key(), "PositionMs")).toBe("4000");
  });
});

describe("a Redis that takes TLS alone", () => {
  async function tlsServer(): Promise<{ port: number; ca: string }> {
    const path = await folder();
    const [keyFile, certificate] = [join(path, "key.pem"), join(path, "cert.pem")];
    const made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=redis.example";
    const named = ["-addext", "subjectAltName=DNS:redis.example", "-keyout", keyFile, "-out", certificate];
    await run("openssl", [...made.split(" "), ...named]);
    const port = await freePort();
    const files = ["--tls-cert-file", certificate, "--tls-key-file", keyFile, "--tls-ca-cert-file", certificate];
    const settings = ["--tls-port", `${port}`, "--tls-auth-clients", "no", ...files];
    const child = await startRedisChild({ port: 0, settings });
    cleanUps.push(() => child.kill());
    return { port, ca: await readFile(certificate, "utf8") };
  }

  function trust(ca: string): void {
    const before = getCACertificates("default");
    setDefaultCACertificates([...before, ca]);
    cleanUps.push(async () => setDefaultCACertificates(before));
  }

  it.each<[string, (port: number) => Record<string, unknown>]>([
    ["RedisTls", (port) => ({ RedisHost: "redis.example", RedisPort: port, RedisTls: true })],
    ["a URL", (port) => ({ RedisHost: `rediss://redis.example:${port}` })],
  ])("is reached by %s, and its certificate is checked for RedisHost", async (_how, redis) => {
    const { port, ca } = await tlsServer();
    trust(ca);
    await played(redis(port), 4_000);
    expect((await open(redis(port))).found).toMatchObject({ positionMs: 4_000 });
    const other = await refusal({ RedisHost: "other.example", RedisPort: port, RedisTls: true });
    expect(other.code).toBe("FailedOperation.RedisRefused");
    expect(other.message).toMatch(/certificate that is not trusted: give RedisHost as the certificate names it/);
  });

  it("is refused where nobody vouches for its certificate", async () => {
    const { port } = await tlsServer();
    const error = await refusal({ RedisHost: "redis.example", RedisPort: port, RedisTls: true });
    expect(error.code).toBe("FailedOperation.RedisRefused");
    expect(error.message).toContain("not trusted");
  });

  it("says that it wants TLS where it is spoken to plainly", async () => {
    const { port } = await tlsServer();
    expect((await refusal({ RedisPort: port })).message).toContain('send "RedisTls": true');
  });

  it("is told from one that speaks no TLS", async () => {
    const error = await refusal({ RedisPort: await server(), RedisTls: true }, { timeoutMs: 500 });
    expect(error.message).toMatch(/does not answer.*and that it speaks TLS|does not speak TLS/);
  });
});

describe("a Redis that fails over", () => {
  const clusterOfOne = async (address: string, port: number) => {
    await startAt(address, port, "--cluster-enabled", "yes", "--dir", await folder());
    const client = await inspect(port, 0, address);
    await client.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
    await eventually(async () => expect(await client.call("CLUSTER", "INFO")).toContain("cluster_state:ok"));
  };

  it.each<[string, typeof startAt, (old: Redis, port: number) => Promise<unknown>, RegExp]>([
    [
      "has become a replica",
      startAt,
      (old, port) => old.replicaof("127.0.0.2", port),
      /replica that takes no writes.*READONLY/,
    ],
    ["is gone", startAt, (old) => old.shutdown("NOSAVE").catch(() => {}), /refuses connections|cannot be reached/],
    [
      "has lost its part of a cluster",
      clusterOfOne,
      (old) => old.call("CLUSTER", "DELSLOTSRANGE", "0", "16383"),
      /cluster that is down.*CLUSTERDOWN/,
    ],
  ])("is looked up again when the old primary %s, and progress goes on", async (_how, start, fail, reason) => {
    const port = await freePort();
    await start("127.0.0.1", port);
    await start("127.0.0.2", port);
    let address = "127.0.0.1";
    const progress = await open(
      { RedisHost: "redis.example", RedisPort: port },
      { resolve: async () => ({ address }) },
    );
    let positionMs = 1_000;
    progress.track(() => values(positionMs));
    const [old, fresh] = [await inspect(port), await inspect(port, 0, "127.0.0.2")];
    await eventually(async () => expect(await old.hget(key(), "PositionMs")).toBe("1000"));
    await fail(old, port);
    await eventually(() => expect(lines.filter(({ msg }) => msg.includes("cannot be written"))).toHaveLength(1));
    address = "127.0.0.2";
    positionMs = 9_000;
    await eventually(async () => expect(await fresh.hget(key(), "PositionMs")).toBe("9000"));
    await eventually(() => expect(lines.filter(({ msg }) => msg.includes("again"))).toHaveLength(1));
    const lost = lines.filter(({ msg }) => msg.includes("cannot be written"));
    expect(lost).toHaveLength(1);
    expect(lost[0]?.err?.message).toMatch(reason);
    await progress.close(values(9_100));
    expect(await fresh.hget(key(), "PositionMs")).toBe("9100");
  });
});
