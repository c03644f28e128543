import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { type PushRequest, pushRequestSchema, RoomcastError, validate } from "@roomcast/shared";
import { Redis } from "ioredis";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../base/eventually.test-support.ts";
import { type ProgressValues, progressKey } from "./progress-record.ts";
import { ProgressStore, type ProgressStoreOptions } from "./progress-store.ts";
import { freePort, type RedisChild, startRedisChild } from "./redis-child.test-support.ts";

const PASSWORD = "correct horse battery";
const TASK_A = "11111111-1111-4111-8111-111111111111";
const TASK_B = "22222222-2222-4222-8222-222222222222";

const cleanUps: (() => Promise<unknown>)[] = [];
let port: number;
let redis: RedisChild;
let lines: { msg: string; level: number; taskId?: string; times?: number }[];

beforeEach(async () => {
  port = await freePort();
  redis = await startRedisChild({ port, password: PASSWORD });
  cleanUps.push(() => redis.kill());
  lines = [];
});

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

const log = pino({ level: "debug" }, { write: (line) => lines.push(JSON.parse(line)) });

function newStore(options: Partial<ProgressStoreOptions> = {}): ProgressStore {
  const store = new ProgressStore({
    resolve: (hostname) => Promise.resolve({ address: hostname }),
    timeoutMs: 1_000,
    intervalMs: 20,
    flushTimeoutMs: 1_000,
    lingerMs: 5_000,
    ...options,
  });
  cleanUps.push(() => store.stop());
  return store;
}

function requestFor(changes: Record<string, unknown> = {}): PushRequest {
  return validate(pushRequestSchema, {
    VideoSrc: "https://media.example.com/clip.mp4?key=hidden",
    SdkAppId: 1400000001,
    StrRoomId: "class_1",
    UserId: "teacher",
    UserSig: "eJxsig",
    Redis: true,
    RedisHost: "127.0.0.1",
    RedisPort: port,
    RedisPassword: PASSWORD,
    ...changes,
  });
}

async function inspector(): Promise<Redis> {
  const client = new Redis({
    host: "127.0.0.1",
    port,
    password: PASSWORD,
    lazyConnect: true,
    retryStrategy: () => null,
  });
  client.on("error", () => {});
  await client.connect();
  cleanUps.push(async () => client.disconnect());
  return client;
}

function values(positionMs: number, changes: Partial<ProgressValues> = {}): ProgressValues {
  return { item: 0, positionMs, durationMs: 30_000, state: "pushing", ...changes };
}

/** A store with one task and its position. */
async function track(
  store: ProgressStore,
  options: { taskId?: string; attempt?: number; positionMs?: number; request?: PushRequest } = {},
) {
  const request = options.request ?? requestFor();
  const now = { positionMs: options.positionMs ?? 1_000 };
  const progress = await store.open({ taskId: options.taskId ?? TASK_A, attempt: options.attempt ?? 1, request, log });
  progress.track(() => values(now.positionMs));
  return { progress, now };
}

const key = (): string => progressKey(requestFor());

async function failure(request: PushRequest, options: Partial<ProgressStoreOptions> = {}): Promise<RoomcastError> {
  const thrown: unknown = await newStore(options)
    .open({ taskId: TASK_A, attempt: 1, request, log })
    .then(
      () => undefined,
      (error: unknown) => error,
    );
  if (!(thrown instanceof RoomcastError)) throw new Error("expected a RoomcastError");
  expect(JSON.stringify([thrown.message, thrown.stack, thrown.cause])).not.toContain(request.RedisPassword);
  return thrown;
}

async function listener(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer(onConnection).listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanUps.push(async () => server.close());
  // SAFETY: a TCP server that listens has an AddressInfo.
  return (server.address() as AddressInfo).port;
}

async function clientCount(client: Redis): Promise<number> {
  return String(await client.client("LIST"))
    .trim()
    .split("\n").length;
}

describe("ProgressStore", () => {
  describe("when it keeps a record", () => {
    it("writes every field of the push under a key of the source, with an expiry of seven days", async () => {
      const { progress } = await track(newStore({ nowMs: () => 1_700_000_000_000 }), { positionMs: 1234.6 });
      await progress.close(values(5678.4));
      const client = await inspector();
      const plainKey = `roomcast:progress:${createHash("sha256").update("https://media.example.com/clip.mp4?key=hidden").digest("hex")}`;
      expect(await client.hgetall(plainKey)).toEqual({
        VideoSrc: "https://media.example.com/clip.mp4?key=hidden",
        SdkAppId: "1400000001",
        Room: "class_1",
        UserId: "teacher",
        Mode: "vod",
        Item: "0",
        PositionMs: "5678",
        DurationMs: "30000",
        State: "pushing",
        TaskId: TASK_A,
        Attempt: "1",
        UpdatedAt: "1700000000000",
      });
      const ttlMs = await client.pttl(plainKey);
      expect(ttlMs).toBeGreaterThan(7 * 24 * 3600 * 1000 - 60_000);
      expect(ttlMs).toBeLessThanOrEqual(7 * 24 * 3600 * 1000);
    });

    it("updates the record while the push runs", async () => {
      const { now } = await track(newStore());
      const client = await inspector();
      await eventually(async () => expect(await client.hget(key(), "PositionMs")).toBe("1000"));
      now.positionMs = 2_000;
      await eventually(async () => expect(await client.hget(key(), "PositionMs")).toBe("2000"));
    });

    it("finds the record in the next push of the same source, and in no other", async () => {
      const store = newStore();
      const first = await track(store);
      await first.progress.close(values(12_000, { state: "aborted" }));
      const again = await store.open({ taskId: TASK_B, attempt: 1, request: requestFor(), log });
      expect(again.found).toMatchObject({ positionMs: 12_000, durationMs: 30_000, state: "aborted", taskId: TASK_A });
      const other = await store.open({
        taskId: TASK_B,
        attempt: 1,
        request: requestFor({ VideoSrc: "https://media.example.com/other.mp4" }),
        log,
      });
      expect(other.found).toBeNull();
      await Promise.all([again.close(values(0)), other.close(values(0))]);
    });

    it("resets the position when a recorded file has played to its end", async () => {
      const store = newStore();
      const { progress } = await track(store);
      await progress.close(values(30_000, { state: "finished" }));
      const again = await store.open({ taskId: TASK_B, attempt: 1, request: requestFor(), log });
      expect(again.found).toMatchObject({ positionMs: 0, state: "finished" });
      await again.close(values(0));
    });

    it("ignores a key with other content", async () => {
      const client = await inspector();
      await client.hset(progressKey(requestFor()), { PositionMs: "-5", State: "dancing" });
      const progress = await newStore().open({ taskId: TASK_A, attempt: 1, request: requestFor(), log });
      expect(progress.found).toBeNull();
      await progress.close(values(0));
    });
  });

  describe("when two pushes have the same source", () => {
    it("never lets an older attempt overwrite a newer one", async () => {
      const client = await inspector();
      const older = await track(newStore(), { attempt: 1, positionMs: 99_000 });
      await eventually(async () => expect(await client.hget(key(), "Attempt")).toBe("1"));
      const newer = await track(newStore(), { attempt: 2, positionMs: 5_000 });
      await eventually(() => expect(lines.some((line) => line.msg.includes("taken over"))).toBe(true));
      await older.progress.close(values(99_500));
      expect(await client.hmget(key(), "Attempt", "PositionMs")).toEqual(["2", "5000"]);
      await newer.progress.close(values(6_000));
      expect(await client.hmget(key(), "Attempt", "PositionMs")).toEqual(["2", "6000"]);
    });

    it("lets a newer task take the record from an older one", async () => {
      const client = await inspector();
      const store = newStore();
      const older = await track(store, { taskId: TASK_A, attempt: 3, positionMs: 99_000 });
      await eventually(async () => expect(await client.hget(key(), "TaskId")).toBe(TASK_A));
      const newer = await track(store, { taskId: TASK_B, attempt: 1, positionMs: 5_000 });
      await eventually(() => expect(lines.some((line) => line.msg.includes("taken over"))).toBe(true));
      await older.progress.close(values(99_500));
      await newer.progress.close(values(6_000));
      expect(await client.hmget(key(), "TaskId", "PositionMs")).toEqual([TASK_B, "6000"]);
    });

    it("does not let a later attempt of the older task take the record back while the newer task runs", async () => {
      const client = await inspector();
      const store = newStore();
      const newer = await track(store, { taskId: TASK_B, positionMs: 5_000 });
      await eventually(async () => expect(await client.hget(key(), "TaskId")).toBe(TASK_B));
      const older = await track(store, { taskId: TASK_A, attempt: 2, positionMs: 99_000 });
      await eventually(() => expect(lines.some((line) => line.msg.includes("taken over"))).toBe(true));
      expect(await client.hget(key(), "TaskId")).toBe(TASK_B);
      await newer.progress.close(values(6_000, { state: "finished" }));
      await older.progress.close(values(1));
      const later = await track(store, { taskId: TASK_A, attempt: 3, positionMs: 7_000 });
      await later.progress.close(values(7_000));
      expect(await client.hget(key(), "TaskId")).toBe(TASK_A);
    });
  });

  describe("when tasks share a Redis", () => {
    it("uses one connection for all tasks and closes it after the last one", async () => {
      const store = newStore();
      const client = await inspector();
      const sources = Array.from({ length: 5 }, (_, n) =>
        requestFor({ VideoSrc: `https://media.example.com/${n}.mp4` }),
      );
      const tracked = await Promise.all(sources.map((request) => track(store, { request })));
      expect(store.connections).toBe(1);
      // The store's connection, and the one of the test.
      expect(await clientCount(client)).toBe(2);
      await Promise.all(tracked.map(({ progress }) => progress.close(values(3_000))));
      await eventually(() => expect(store.connections).toBe(0));
      await eventually(async () => {
        expect(await clientCount(client)).toBe(1);
      });
      for (const request of sources) expect(await client.hget(progressKey(request), "PositionMs")).toBe("3000");
    });
  });

  describe("when Redis cannot be used at the start", () => {
    it("fails with RedisRefused, without the password in the text, when the password is wrong", async () => {
      const error = await failure(requestFor({ RedisPassword: "wrong-password-9" }));
      expect(error.code).toBe("FailedOperation.RedisRefused");
      expect(error.message).toBe(
        `Redis at 127.0.0.1:${port} refused the connection: check RedisPassword. It says: WRONGPASS invalid username-password pair or user is disabled.`,
      );
    });

    it("fails with RedisRefused when a password is needed and none was given", async () => {
      const thrown = newStore().open({ taskId: TASK_A, attempt: 1, request: requestFor({ RedisPassword: "" }), log });
      await expect(thrown).rejects.toMatchObject({
        code: "FailedOperation.RedisRefused",
        message: expect.stringContaining("check RedisPassword, which is empty"),
      });
    });

    it("fails with RedisUnreachable when no server listens", async () => {
      await redis.kill();
      const error = await failure(requestFor());
      expect(error.code).toBe("FailedOperation.RedisUnreachable");
      expect(error.message).toContain("refuses connections: check RedisHost and RedisPort");
    });

    it("fails with RedisUnreachable when the server accepts the connection and never answers", async () => {
      const silent = await listener((socket) => socket.on("error", () => {}).resume());
      const error = await failure(requestFor({ RedisPort: silent }), { timeoutMs: 200 });
      expect(error.code).toBe("FailedOperation.RedisUnreachable");
      expect(error.message).toContain("does not answer");
    });

    it("fails with RedisUnreachable when the server is not a Redis", async () => {
      const web = await listener((socket) => socket.on("error", () => {}).end("HTTP/1.1 400 Bad Request\r\n\r\n"));
      const error = await failure(requestFor({ RedisPort: web }), { timeoutMs: 500 });
      expect(error.code).toBe("FailedOperation.RedisUnreachable");
    });

    it("fails with RedisRefused, without dialling, when the egress guard forbids the address", async () => {
      const error = await failure(requestFor(), {
        resolve: () => Promise.reject(new RoomcastError("FailedOperation.SourceForbidden", "The address is private.")),
      });
      expect(error.code).toBe("FailedOperation.RedisRefused");
      expect(error.message).toContain("The address is private.");
    });
  });

  it("connects with a password to a Redis that has none", async () => {
    const open = await startRedisChild({ port: await freePort() });
    cleanUps.push(() => open.kill());
    const { progress } = await track(newStore(), { request: requestFor({ RedisPort: open.port }) });
    await progress.close(values(1));
    const client = new Redis({ host: "127.0.0.1", port: open.port });
    expect(await client.hget(key(), "PositionMs")).toBe("1");
    client.disconnect();
  });

  describe("when Redis vanishes while a task runs", () => {
    it("writes the newest position when Redis is back, and logs the failure once", async () => {
      const { progress, now } = await track(newStore({ timeoutMs: 500 }));
      const first = await inspector();
      await eventually(async () => expect(await first.hget(key(), "PositionMs")).toBe("1000"));
      await redis.kill();
      await eventually(() => expect(lines.some((line) => line.msg.includes("cannot be written"))).toBe(true));
      now.positionMs = 9_000;
      redis = await startRedisChild({ port, password: PASSWORD });
      const second = await inspector();
      await eventually(async () => expect(await second.hget(key(), "PositionMs")).toBe("9000"));
      await eventually(() => expect(lines.some((line) => line.msg.includes("again"))).toBe(true));
      expect(lines.filter((line) => line.msg.includes("cannot be written"))).toHaveLength(1);
      expect(lines.find((line) => line.msg.includes("again"))?.times).toBeGreaterThan(1);
      await progress.close(values(9_100));
      expect(await second.hget(key(), "PositionMs")).toBe("9100");
    });

    it("does not delay the end of a task, and still writes its last position", async () => {
      const { progress } = await track(newStore({ timeoutMs: 500, flushTimeoutMs: 50 }));
      const first = await inspector();
      await eventually(async () => expect(await first.hget(key(), "PositionMs")).toBe("1000"));
      await redis.kill();
      await progress.close(values(20_000, { state: "aborted" }));
      redis = await startRedisChild({ port, password: PASSWORD });
      const second = await inspector();
      await eventually(async () => expect(await second.hget(key(), "PositionMs")).toBe("20000"));
    });
  });
});
