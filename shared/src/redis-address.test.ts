import { describe, expect, it } from "vitest";
import { redisAddress } from "./redis-address.ts";

describe("redisAddress", () => {
  it.each<[string, Parameters<typeof redisAddress>[0], object]>([
    ["a host alone", { RedisHost: "r.example" }, { host: "r.example", port: 6379, tls: false }],
    ["a port", { RedisHost: "::1", RedisPort: 7000 }, { host: "::1", port: 7000, tls: false }],
    ["RedisTls", { RedisHost: "r.example", RedisTls: true }, { host: "r.example", port: 6379, tls: true }],
    ["a URL", { RedisHost: "rediss://r.example" }, { host: "r.example", port: 6379, tls: true }],
    ["a URL and a port", { RedisHost: "rediss://r.example", RedisPort: 7 }, { host: "r.example", port: 7, tls: true }],
    ["a URL with its port", { RedisHost: "rediss://r.example:6380/" }, { host: "r.example", port: 6380, tls: true }],
    ["a URL with an IPv6 address", { RedisHost: "rediss://[::1]:6380" }, { host: "::1", port: 6380, tls: true }],
  ])("reads %s", (_what, request, address) => {
    expect(redisAddress(request)).toEqual(address);
  });
});
