import { parseAddressPolicy, regionName, UNITS_PER_CORE, validate } from "@roomcast/shared";
import { z } from "zod";
import { readWorkerIdentity } from "./link/worker-identity.ts";
import { CHUNK_BYTES, DEFAULT_CHUNK_BYTES } from "./publisher/rtmp-chunk-size.ts";
import type { PushHosts } from "./publisher/trtc-push-address.ts";

/** The prefix of all settings of a worker; an unknown variable with it is a typing mistake and an error. */
const PREFIX = "ROOMCAST_";

const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

function wholeNumber(min: number, max: number, unit?: string) {
  const expected = `a whole number ${unit === undefined ? "" : `of ${unit} `}from ${min} to ${max}`;
  return z
    .string(expected)
    .regex(/^\d{1,15}$/, expected)
    .transform(Number)
    .refine((value) => value >= min && value <= max, expected);
}

const EDGE_EXPECTED = "the edge's URL, as wss://edge.example.com (ws, wss, http or https)";
const TOKEN_EXPECTED = "a worker token (a JWT) that the edge has minted";
const RTMP_EXPECTED = "an rtmp:// or rtmps:// URL without a query, as rtmp://rtmp.rtc.qq.com/push";
const APP_RTMP_EXPECTED =
  "SdkAppIds and rtmp:// or rtmps:// URLs without a query, as 1400000001=rtmp://push.example.com/push,…";

const ALLOW_EXPECTED = "host names, addresses and CIDRs with commas between, as 10.0.0.0/8,redis.internal";

function listOf(text: string): string[] {
  return text.split(",").flatMap((entry) => (entry.trim() === "" ? [] : [entry.trim()]));
}

function isAllowList(entries: readonly string[]): boolean {
  try {
    parseAddressPolicy(entries);
    return true;
  } catch {
    return false;
  }
}

function isUrlOf(text: string, schemes: readonly string[]): boolean {
  const url = URL.parse(text);
  return url !== null && url.hostname !== "" && schemes.includes(url.protocol) && url.search === "" && url.hash === "";
}

/** Reads `<SdkAppId>=<URL>[,…]`; null for anything else. */
function readAppUrls(text: string): Readonly<Record<number, string>> | null {
  const entries = listOf(text).map((entry) => /^([1-9]\d{0,9})=(\S+)$/.exec(entry));
  const urls: Record<number, string> = {};
  for (const entry of entries) {
    const [, sdkAppId, url] = entry ?? [];
    if (sdkAppId === undefined || url === undefined || !isUrlOf(url, ["rtmp:", "rtmps:"])) return null;
    urls[Number(sdkAppId)] = url;
  }
  return urls;
}

const variables = z.strictObject({
  ROOMCAST_EDGE_URL: z
    .string(EDGE_EXPECTED)
    .refine((text) => isUrlOf(text, ["ws:", "wss:", "http:", "https:"]), EDGE_EXPECTED)
    .describe("The URL of the edge. Required."),
  ROOMCAST_WORKER_TOKEN: z
    .string(TOKEN_EXPECTED)
    .refine((text) => readWorkerIdentity(text) !== null, TOKEN_EXPECTED)
    .describe("The worker token, which names this worker and its regions. A secret. Required."),
  ROOMCAST_REGION: regionName
    .optional()
    .describe("The region in which this worker runs. Default: the token's region, if it names only one."),
  ROOMCAST_CAPACITY_UNITS: wholeNumber(1, 1_000_000, "units")
    .optional()
    .describe(
      `The load that this worker accepts; a copied stream takes 4 units, a transcoded 720p30 stream 46. Default: ${UNITS_PER_CORE} per core.`,
    ),
  ROOMCAST_RTMP_URL: z
    .string(RTMP_EXPECTED)
    .refine((text) => isUrlOf(text, ["rtmp:", "rtmps:"]), RTMP_EXPECTED)
    .optional()
    .describe(
      "The RTMP URL that rooms are published to. Default: TRTC's host for the application, with TRTC's backup.",
    ),
  ROOMCAST_RTMP_APP_URLS: z
    .string(APP_RTMP_EXPECTED)
    .refine((text) => readAppUrls(text) !== null, APP_RTMP_EXPECTED)
    .default("")
    .describe("The same for single applications, such as 1400000001=rtmp://push.example.com/push,… Default: none."),
  ROOMCAST_RTMP_TLS: z
    .enum(["on", "off"], "on or off")
    .default("off")
    .describe("Publishes to TRTC's own hosts over TLS if on. Default: off"),
  ROOMCAST_RTMP_CHUNK_SIZE: wholeNumber(CHUNK_BYTES.smallest, CHUNK_BYTES.largest, "bytes")
    .default(DEFAULT_CHUNK_BYTES)
    .describe(
      `The size of the RTMP chunks that are sent to rooms, in bytes. Default: ${DEFAULT_CHUNK_BYTES}, as TRTC advises.`,
    ),
  ROOMCAST_ALLOW_HOSTS: z
    .string(ALLOW_EXPECTED)
    .refine((text) => isAllowList(listOf(text)), ALLOW_EXPECTED)
    .default("")
    .describe("Private hosts and CIDRs that sources and Redis may use, separated by commas. Default: none."),
  ROOMCAST_LOG_LEVEL: z
    .enum(LOG_LEVELS, `one of ${LOG_LEVELS.join(", ")}`)
    .default("info")
    .describe("The lowest level that is logged. Default: info"),
  ROOMCAST_METRICS_PORT: wholeNumber(0, 65_535)
    .optional()
    .describe("Serves /metrics (Prometheus) and /healthz; 0 takes any free port. Default: off."),
  ROOMCAST_METRICS_HOST: z
    .string()
    .regex(/^[A-Za-z0-9.:_-]{1,253}$/, "the address to listen on, as 127.0.0.1 or 0.0.0.0")
    .default("127.0.0.1")
    .describe("The address that the metrics server listens on. Default: 127.0.0.1"),
  ROOMCAST_DRAIN_TIMEOUT_MS: wholeNumber(0, 3_600_000, "milliseconds")
    .default(20_000)
    .describe("Milliseconds that SIGTERM may take to hand all tasks over. Default: 20000"),
  ROOMCAST_REDIS_TIMEOUT_MS: wholeNumber(100, 60_000, "milliseconds")
    .default(5_000)
    .describe("Milliseconds that a task's Redis may take to answer. Default: 5000"),
  ROOMCAST_RECONNECT_BUDGET_MS: wholeNumber(0, 86_400_000, "milliseconds")
    .default(60_000)
    .describe("Milliseconds that a push waits for a room or a live source that it has lost. Default: 60000"),
});

export interface WorkerConfig {
  /** The ws(s):// URL of the edge, without a path. */
  readonly edgeUrl: string;
  readonly workerToken: string;
  readonly workerId: string;
  readonly region: string;
  readonly capacityUnits: number;
  readonly rtmp: {
    readonly hosts: PushHosts;
    readonly chunkBytes: number;
  };
  readonly allowHosts: readonly string[];
  readonly logLevel: (typeof LOG_LEVELS)[number];
  /** Null if no metrics are served. */
  readonly metrics: { readonly host: string; readonly port: number } | null;
  readonly drainTimeoutMs: number;
  readonly redisTimeoutMs: number;
  readonly reconnectBudgetMs: number;
}

export interface ReadConfigOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cores: number;
}

/**
 * Reads the worker's settings. An empty variable counts as one that is not set.
 *
 * @throws RoomcastError that names every wrong variable and what was expected, and never a value.
 */
export function readConfig(options: ReadConfigOptions): WorkerConfig {
  const given = Object.fromEntries(
    Object.entries(options.env).filter(
      ([name, value]) => name.startsWith(PREFIX) && value !== undefined && value !== "",
    ),
  );
  const env = validate(regional, given);
  const identity = readWorkerIdentity(env.ROOMCAST_WORKER_TOKEN);
  const region = env.ROOMCAST_REGION ?? identity?.regions[0];
  if (identity === null || region === undefined) throw new Error("the schema should have refused this token");
  return Object.freeze({
    edgeUrl: env.ROOMCAST_EDGE_URL.replace(/^http/, "ws"),
    workerToken: env.ROOMCAST_WORKER_TOKEN,
    workerId: identity.workerId,
    region,
    capacityUnits: env.ROOMCAST_CAPACITY_UNITS ?? options.cores * UNITS_PER_CORE,
    rtmp: {
      hosts: {
        tls: env.ROOMCAST_RTMP_TLS === "on",
        base: env.ROOMCAST_RTMP_URL,
        baseByApp: readAppUrls(env.ROOMCAST_RTMP_APP_URLS) ?? {},
      },
      chunkBytes: env.ROOMCAST_RTMP_CHUNK_SIZE,
    },
    allowHosts: listOf(env.ROOMCAST_ALLOW_HOSTS),
    logLevel: env.ROOMCAST_LOG_LEVEL,
    metrics:
      env.ROOMCAST_METRICS_PORT === undefined
        ? null
        : { host: env.ROOMCAST_METRICS_HOST, port: env.ROOMCAST_METRICS_PORT },
    drainTimeoutMs: env.ROOMCAST_DRAIN_TIMEOUT_MS,
    redisTimeoutMs: env.ROOMCAST_REDIS_TIMEOUT_MS,
    reconnectBudgetMs: env.ROOMCAST_RECONNECT_BUDGET_MS,
  });
}

/** The worker token limits the regions that its worker may run in. */
const regional = variables.refine(
  (env) => {
    const identity = readWorkerIdentity(env.ROOMCAST_WORKER_TOKEN);
    // A token that cannot be read is reported for its variable already.
    if (identity === null) return true;
    return env.ROOMCAST_REGION === undefined
      ? identity.regions.length === 1
      : identity.regions.includes(env.ROOMCAST_REGION);
  },
  { path: ["ROOMCAST_REGION"], message: "one of the regions that ROOMCAST_WORKER_TOKEN names" },
);

/** Returns one line for each setting, for `--help`. */
export function describeConfig(): string {
  return Object.entries(variables.shape)
    .map(([name, schema]) => `  ${name.padEnd(26)} ${schema.description ?? ""}`)
    .join("\n");
}
