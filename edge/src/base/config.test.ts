import { describe, expect, it } from "vitest";
import { parseConfig } from "./config.ts";

const GOOD = {
  CREDENTIALS: JSON.stringify([{ secretId: "a", secretKey: "secret-key", sdkAppIds: "*", role: "admin" }]),
  WORKER_TOKEN_KEY: "x".repeat(32),
  SEAL_KEY: "y".repeat(32),
};

describe("parseConfig", () => {
  it("uses the defaults for variables that are not set", () => {
    expect(parseConfig(GOOD)).toMatchObject({
      defaultRegion: "ap-guangzhou",
      regions: ["ap-guangzhou"],
      queueTimeoutMs: 60_000,
      workerGraceMs: 1000,
      heartbeatTimeoutMs: 6000,
      reportIntervalMs: 1000,
      busyCpuPercent: 90,
      retentionMs: 72 * 3_600_000,
      trtcApps: new Map(),
    });
  });

  it("parses numbers and JSON from texts", () => {
    const config = parseConfig({ ...GOOD, QUEUE_TIMEOUT_MS: "1500", TRTC_APPS: '{"1400000001":"k"}' });
    expect(config.queueTimeoutMs).toBe(1500);
    expect(config.trtcApps.get(1_400_000_001)).toBe("k");
  });

  it.each<[string | undefined, "*" | string[]]>([
    [undefined, []],
    ["", []],
    [" * ", "*"],
    ["https://app.example, http://localhost:5173", ["https://app.example", "http://localhost:5173"]],
  ])("reads CORS_ORIGINS %j as %j", (text, listed) => {
    expect(parseConfig({ ...GOOD, ...(text === undefined ? {} : { CORS_ORIGINS: text }) }).corsOrigins).toEqual(listed);
  });

  it("adds the regions of REGIONS to the default one", () => {
    const config = parseConfig({ ...GOOD, DEFAULT_REGION: "ap-seoul", REGIONS: "eu-frankfurt, ap-seoul,,xx-lab" });
    expect(config.regions).toEqual(["ap-seoul", "eu-frankfurt", "xx-lab"]);
  });

  it.each([
    ["SEAL_KEY", "sealKeys"],
    ["WORKER_TOKEN_KEY", "workerTokenKeys"],
  ] as const)("reads %s as one key or as a JSON list with the newest key first", (variable, name) => {
    const [newest, older] = ["n".repeat(32), "o".repeat(40)];
    expect(parseConfig({ ...GOOD, [variable]: newest })[name]).toEqual([newest]);
    expect(parseConfig({ ...GOOD, [variable]: JSON.stringify([newest, older]) })[name]).toEqual([newest, older]);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ["no credentials", { CREDENTIALS: undefined }, /CREDENTIALS is malformed|CREDENTIALS is missing/],
    [
      "credentials that are not JSON",
      { CREDENTIALS: "[{secret" },
      /CREDENTIALS is malformed.*wrangler secret put CREDENTIALS/,
    ],
    [
      "a credential with an unknown key",
      { CREDENTIALS: '[{"secretId":"a","secretKey":"secret-key","sdkAppIds":"*","role":"admin","x":1}]' },
      /CREDENTIALS is malformed/,
    ],
    ["a short key", { SEAL_KEY: "too-short" }, /SEAL_KEY is malformed.*32 characters/],
    ["a short key in a list", { SEAL_KEY: JSON.stringify(["x".repeat(32), "too-short"]) }, /SEAL_KEY is malformed/],
    ["an empty list of keys", { SEAL_KEY: "[]" }, /SEAL_KEY is malformed/],
    ["an application that is not a number", { TRTC_APPS: '{"app":"k"}' }, /TRTC_APPS is malformed/],
    ["a time that is not a number", { QUEUE_TIMEOUT_MS: "soon" }, /QUEUE_TIMEOUT_MS is malformed.*milliseconds/],
    ["a share above 100 percent", { BUSY_CPU_PERCENT: "101" }, /BUSY_CPU_PERCENT is malformed.*0 to 100/],
    ["an origin with a path", { CORS_ORIGINS: "https://app.example/" }, /CORS_ORIGINS is malformed.*origins such as/],
    ["an origin that is a bare host", { CORS_ORIGINS: "https://a.example, app.example" }, /CORS_ORIGINS is malformed/],
    ["a region that is not a name", { DEFAULT_REGION: "?" }, /DEFAULT_REGION is malformed/],
    [
      "a list of regions in which one is not a name",
      { REGIONS: "ap-seoul,?" },
      /[^_]REGIONS is malformed.*region names/,
    ],
  ])("names the variable but not its value for %s", (_what, wrong, message) => {
    expect(() => parseConfig({ ...GOOD, ...wrong })).toThrow(message);
    expect(() => parseConfig({ ...GOOD, ...wrong })).not.toThrow(/secret-key|too-short|soon/);
  });
});
