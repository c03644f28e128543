import { mintWorkerToken, RoomcastError } from "@roomcast/shared";
import { beforeAll, describe, expect, test } from "vitest";
import { describeConfig, readConfig } from "./config.ts";

const KEY = "0123456789abcdef0123456789abcdef";
let token: string;

beforeAll(async () => {
  token = await mintWorkerToken({ workerId: "gz-1", regions: ["ap-guangzhou"], key: KEY, lifetimeS: 3600 });
});

function read(env: Record<string, string | undefined>) {
  return readConfig({
    env: { ROOMCAST_EDGE_URL: "https://edge.example.com", ROOMCAST_WORKER_TOKEN: token, ...env },
    cores: 4,
  });
}

function failure(env: Record<string, string | undefined>): RoomcastError {
  try {
    read(env);
  } catch (error) {
    if (error instanceof RoomcastError) return error;
  }
  throw new Error("these settings should be refused");
}

test("the edge's address and a token are enough: the rest follows", () => {
  expect(read({})).toEqual({
    edgeUrl: "wss://edge.example.com",
    workerToken: token,
    workerId: "gz-1",
    region: "ap-guangzhou",
    capacityUnits: 400,
    rtmp: { hosts: { tls: false, base: undefined, baseByApp: {} }, chunkBytes: 1360 },
    allowHosts: [],
    logLevel: "info",
    metrics: null,
    drainTimeoutMs: 20_000,
    redisTimeoutMs: 5_000,
    reconnectBudgetMs: 60_000,
  });
});

test("every setting can be given", () => {
  expect(
    read({
      ROOMCAST_EDGE_URL: "ws://127.0.0.1:8787",
      ROOMCAST_REGION: "ap-guangzhou",
      ROOMCAST_CAPACITY_UNITS: "150",
      ROOMCAST_RTMP_URL: "rtmps://intl-rtmp.rtc.qq.com/push",
      ROOMCAST_RTMP_APP_URLS: "1400000001=rtmp://a.example/push, 1400000002=rtmps://b.example:8443/push",
      ROOMCAST_RTMP_TLS: "on",
      ROOMCAST_RTMP_CHUNK_SIZE: "4096",
      ROOMCAST_ALLOW_HOSTS: "10.0.0.0/8, redis.internal ,",
      ROOMCAST_LOG_LEVEL: "debug",
      ROOMCAST_METRICS_PORT: "9464",
      ROOMCAST_METRICS_HOST: "0.0.0.0",
      ROOMCAST_DRAIN_TIMEOUT_MS: "0",
      ROOMCAST_REDIS_TIMEOUT_MS: "2500",
      ROOMCAST_RECONNECT_BUDGET_MS: "0",
    }),
  ).toMatchObject({
    edgeUrl: "ws://127.0.0.1:8787",
    capacityUnits: 150,
    rtmp: {
      hosts: {
        tls: true,
        base: "rtmps://intl-rtmp.rtc.qq.com/push",
        baseByApp: { 1400000001: "rtmp://a.example/push", 1400000002: "rtmps://b.example:8443/push" },
      },
      chunkBytes: 4096,
    },
    allowHosts: ["10.0.0.0/8", "redis.internal"],
    logLevel: "debug",
    metrics: { host: "0.0.0.0", port: 9464 },
    drainTimeoutMs: 0,
    redisTimeoutMs: 2500,
    reconnectBudgetMs: 0,
  });
});

test("an empty variable counts as one that is not set, and other programs' variables are theirs", () => {
  expect(read({ ROOMCAST_CAPACITY_UNITS: "", PATH: "/bin", ROOM: "1" }).capacityUnits).toBe(400);
});

describe("wrong settings", () => {
  test("are all named at once, with what was expected", () => {
    const error = failure({
      ROOMCAST_EDGE_URL: "edge.example.com",
      ROOMCAST_CAPACITY_UNITS: "many",
      ROOMCAST_LOG_LEVEL: "loud",
      ROOMCAST_TYPO: "1",
    });
    expect(error.fields.map(({ field, problem }) => [field, problem])).toEqual([
      ["ROOMCAST_EDGE_URL", "invalid"],
      ["ROOMCAST_CAPACITY_UNITS", "invalid"],
      ["ROOMCAST_LOG_LEVEL", "invalid"],
      ["ROOMCAST_TYPO", "unknown"],
    ]);
    expect(error.message).toContain("ROOMCAST_CAPACITY_UNITS is invalid: expected a whole number of units from 1");
  });

  test("that are missing are named too", () => {
    const error = failure({ ROOMCAST_EDGE_URL: undefined, ROOMCAST_WORKER_TOKEN: undefined });
    expect(error.message).toContain("ROOMCAST_EDGE_URL is missing: expected the edge's URL");
    expect(error.message).toContain("ROOMCAST_WORKER_TOKEN is missing: expected a worker token");
  });

  test("never have their value repeated, which may be a secret", () => {
    const secret = "eyJnotReally.aToken-at-all";
    const error = failure({ ROOMCAST_WORKER_TOKEN: secret, ROOMCAST_RTMP_URL: `rtmp://host/push?usersig=${secret}` });
    expect(error.fields.map(({ field }) => field)).toEqual(["ROOMCAST_WORKER_TOKEN", "ROOMCAST_RTMP_URL"]);
    expect(`${error.message}${String(error.stack)}`).not.toContain(secret);
  });

  test("include a region that the token does not name", () => {
    expect(failure({ ROOMCAST_REGION: "eu-frankfurt" }).message).toBe(
      "ROOMCAST_REGION is invalid: expected one of the regions that ROOMCAST_WORKER_TOKEN names.",
    );
  });

  test("include no region where the token names several", async () => {
    const several = await mintWorkerToken({
      workerId: "w",
      regions: ["ap-guangzhou", "ap-shanghai"],
      key: KEY,
      lifetimeS: 60,
    });
    expect(failure({ ROOMCAST_WORKER_TOKEN: several }).message).toContain("ROOMCAST_REGION is missing");
    expect(read({ ROOMCAST_WORKER_TOKEN: several, ROOMCAST_REGION: "ap-shanghai" }).region).toBe("ap-shanghai");
  });

  test.each([
    ["ROOMCAST_ALLOW_HOSTS", "10.0.0.0/99"],
    ["ROOMCAST_METRICS_PORT", "70000"],
    ["ROOMCAST_RTMP_APP_URLS", "1400000001:rtmp://a.example/push"],
    ["ROOMCAST_RTMP_APP_URLS", "1400000001=http://a.example/push"],
    ["ROOMCAST_RTMP_TLS", "yes"],
    ["ROOMCAST_RTMP_CHUNK_SIZE", "127"],
    ["ROOMCAST_DRAIN_TIMEOUT_MS", "-1"],
    ["ROOMCAST_EDGE_URL", "https://edge.example.com/?token=1"],
    ["ROOMCAST_WORKER_TOKEN", "a.e30.c"],
  ])("include %s=%s", (name, value) => {
    expect(failure({ [name]: value }).fields).toMatchObject([{ field: name, problem: "invalid" }]);
  });
});

test("a wrong port is answered with the numbers that a port may have", () => {
  expect(failure({ ROOMCAST_METRICS_PORT: "70000" }).message).toContain("expected a whole number from 0 to 65535");
});

test("the help names every setting", () => {
  expect(describeConfig().match(/^ {2}ROOMCAST_\w+/gm)).toHaveLength(15);
});
