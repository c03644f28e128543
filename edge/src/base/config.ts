import { type AddressPolicy, parseAddressPolicy, RoomcastError, regionName } from "@roomcast/shared";
import { z } from "zod";
import type { SealKeys } from "./seal.ts";

const HOUR_MS = 3_600_000;

/** Returns the schema of a variable that holds JSON. */
function json<Schema extends z.ZodType>(schema: Schema) {
  return z.preprocess(parseJson, schema);
}

/** Parses a string as JSON. Returns undefined if it is not JSON; the schema refuses that. */
function parseJson(text: unknown): unknown {
  if (typeof text !== "string") return text;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Reads one string, or a JSON list of strings, as a list. */
function oneOrList(text: unknown): unknown {
  if (typeof text !== "string") return text;
  return text.trimStart().startsWith("[") ? parseJson(text) : [text];
}

/** A secret that can be rotated: the newest key first, then the earlier ones. */
const keys = z.preprocess(oneOrList, z.tuple([z.string().min(32)], z.string().min(32)));

/** Hosts, addresses and CIDR ranges, separated by commas. */
const allowList = z
  .string()
  .default("")
  .transform((text, context) => {
    try {
      return parseAddressPolicy(text.split(",").filter((entry) => entry.trim() !== ""));
    } catch {
      context.addIssue({ code: "custom", message: "an entry is none" });
      return z.NEVER;
    }
  });

/**
 * Returns true if the string is an origin as a browser writes it (RFC 6454, section 6.2): without a path, a slash at its end,
 * or the default port of its scheme.
 */
function isOrigin(text: string): boolean {
  return /^https?:$/.test(URL.parse(text)?.protocol ?? "") && URL.parse(text)?.origin === text;
}

/** Origins, separated by commas; `*` allows any origin. */
const origins = z
  .string()
  .default("")
  .transform((text) => (text.trim() === "*" ? "*" : text.split(",").flatMap((entry) => entry.trim() || [])))
  .refine((entries) => entries === "*" || entries.every(isOrigin));

/** Names of regions, separated by commas. */
const regions = z
  .string()
  .default("")
  .transform((text) => text.split(",").flatMap((entry) => entry.trim() || []))
  .pipe(z.array(regionName));

function durationMs(minMs: number, defaultMs: number, maxMs = 0x7fff_ffff) {
  return z.coerce.number().int().min(minMs).max(maxMs).default(defaultMs);
}

const credentialSchema = z.strictObject({
  secretId: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  secretKey: z.string().min(8).max(256),
  /** The applications that the credential may see and change. */
  sdkAppIds: z.union([z.literal("*"), z.array(z.int().min(1)).min(1).max(50)]),
  role: z.enum(["viewer", "operator", "admin"]),
});
export type Credential = Readonly<z.output<typeof credentialSchema>>;

const configSchema = z.object({
  CREDENTIALS: json(z.array(credentialSchema).min(1)),
  WORKER_TOKEN_KEY: keys,
  SEAL_KEY: keys,
  TRTC_APPS: json(z.record(z.string().regex(/^[0-9]{1,10}$/), z.string().min(1))).default({}),
  TRTC_CALLBACK_KEYS: json(z.record(z.string().regex(/^[0-9]{1,10}$/), z.string().min(1))).default({}),
  DEFAULT_REGION: regionName.default("ap-guangzhou"),
  /** Regions that pushes may name before they have had a worker. */
  REGIONS: regions,
  /** The longest time that a task waits for a worker. */
  QUEUE_TIMEOUT_MS: durationMs(100, 60_000),
  /** The delay before a task is placed again, unless it is woken earlier. */
  PLACE_RETRY_MS: durationMs(50, 10_000),
  /** The longest time that a worker may take to accept a dispatch. */
  ACCEPT_TIMEOUT_MS: durationMs(100, 10_000),
  /** The longest time that a push may last, counted from its first picture. */
  EXECUTION_TIMEOUT_MS: durationMs(1000, 24 * HOUR_MS),
  /** The longest times that a worker may take to stop a push: at once, and tidily. */
  STOP_TIMEOUT_MS: durationMs(100, 10_000),
  TIDY_STOP_TIMEOUT_MS: durationMs(100, 30_000),
  /** The longest time that a worker may take to change a running push. */
  UPDATE_TIMEOUT_MS: durationMs(100, 20_000),
  /** After this time without a report, a running task asks its region whether a worker still has it. */
  TASK_SILENCE_MS: durationMs(1000, 300_000),
  /** The time for which an ended task is kept. */
  RETENTION_MS: durationMs(1000, 72 * HOUR_MS),
  /** The time that a lost worker has to come back with its tasks. */
  WORKER_GRACE_MS: durationMs(0, 1000),
  /** The time that workers have to come back after a restart of the edge. */
  WORKER_RETURN_MS: durationMs(0, 6000, 60_000),
  HEARTBEAT_TIMEOUT_MS: durationMs(200, 6000),
  REPORT_INTERVAL_MS: durationMs(50, 1000),
  /** The time that a connected worker has to send its hello. */
  HELLO_TIMEOUT_MS: durationMs(100, 5000),
  /** The CPU percentage at which a worker gets new tasks only if no other worker has free capacity; 0 disables the rule. */
  BUSY_CPU_PERCENT: z.coerce.number().int().min(0).max(100).default(90),
  /** Private hosts, or hosts without TLS, that callbacks may be sent to. */
  CALLBACK_ALLOW_HOSTS: allowList,
  /** The origins whose pages may call from a browser. */
  CORS_ORIGINS: origins,
  /** The time that the receiver of a callback has to answer. */
  CALLBACK_TIMEOUT_MS: durationMs(50, 5000),
  /** The delay before each retry after the first one, which follows at once. */
  CALLBACK_RETRY_MS: durationMs(10, 10_000),
  /** The time after the first try at which the event is given up. */
  CALLBACK_GIVE_UP_MS: durationMs(10, 60_000),
  /** The number of times a second that a credential may make each call; 0 means no limit. */
  RATE_LIMIT_PER_SECOND: z.coerce.number().int().min(0).max(1_000_000).default(20),
  /** The time zone of the times in SCF's actions, which do not name one. The default is China's, as at Tencent. */
  SCF_UTC_OFFSET_MINUTES: z.coerce.number().int().min(-840).max(840).default(480),
});

/** Says how to set a variable that is missing or wrong, without repeating its value. */
const HOW: Partial<Record<keyof z.output<typeof configSchema>, string>> = {
  CREDENTIALS:
    'a secret: a JSON list such as [{"secretId":"…","secretKey":"…","sdkAppIds":"*","role":"admin"}], set with `wrangler secret put CREDENTIALS`',
  WORKER_TOKEN_KEY:
    "a secret of at least 32 characters, or a JSON list of them with the newest first, set with `wrangler secret put WORKER_TOKEN_KEY`",
  SEAL_KEY:
    "a secret of at least 32 characters, or a JSON list of them with the newest first, set with `wrangler secret put SEAL_KEY`",
  TRTC_APPS: 'an optional secret: a JSON object {"<SdkAppId>":"<SecretKey>"}, set with `wrangler secret put TRTC_APPS`',
  TRTC_CALLBACK_KEYS:
    'an optional secret: a JSON object {"<SdkAppId>":"<key of its event callbacks>"}, set with `wrangler secret put TRTC_CALLBACK_KEYS`',
  RATE_LIMIT_PER_SECOND: "a whole number from 0 to 1000000, set under [vars] of wrangler.toml",
  BUSY_CPU_PERCENT: "a whole number from 0 to 100, set under [vars] of wrangler.toml",
  SCF_UTC_OFFSET_MINUTES: "a whole number of minutes from -840 to 840, set under [vars] of wrangler.toml",
  CALLBACK_ALLOW_HOSTS:
    'host names, addresses or CIDR ranges with commas between, such as "10.0.12.0/24", set under [vars] of wrangler.toml',
  CORS_ORIGINS: 'origins such as "https://app.example" with commas between, or "*", set under [vars] of wrangler.toml',
  REGIONS: 'region names such as "ap-guangzhou,eu-frankfurt" with commas between, set under [vars] of wrangler.toml',
  DEFAULT_REGION: 'a region name such as "ap-guangzhou", set under [vars] of wrangler.toml',
};

export interface Config {
  readonly credentials: readonly Credential[];
  /** The first key signs worker tokens; a signature by any of them is accepted. */
  readonly workerTokenKeys: readonly [string, ...string[]];
  /** The first key seals; any of them opens. */
  readonly sealKeys: SealKeys;
  /** The SecretKey of a TRTC application, by its SdkAppId. */
  readonly trtcApps: ReadonlyMap<number, string>;
  /** The key with which TRTC signs the event callbacks of an application's rooms, by SdkAppId. */
  readonly trtcCallbackKeys: ReadonlyMap<number, string>;
  readonly defaultRegion: string;
  /** Regions that are known before they have had a worker, including the default one. */
  readonly regions: readonly string[];
  readonly queueTimeoutMs: number;
  readonly placeRetryMs: number;
  readonly acceptTimeoutMs: number;
  readonly executionTimeoutMs: number;
  readonly stopTimeoutMs: number;
  readonly tidyStopTimeoutMs: number;
  readonly updateTimeoutMs: number;
  readonly taskSilenceMs: number;
  readonly retentionMs: number;
  readonly workerGraceMs: number;
  readonly workerReturnMs: number;
  readonly heartbeatTimeoutMs: number;
  readonly reportIntervalMs: number;
  readonly helloTimeoutMs: number;
  readonly busyCpuPercent: number;
  readonly callbackAllow: AddressPolicy;
  readonly corsOrigins: "*" | readonly string[];
  readonly callbackTimeoutMs: number;
  readonly callbackRetryMs: number;
  readonly callbackGiveUpMs: number;
  readonly rateLimitPerSecond: number;
  readonly scfUtcOffsetMinutes: number;
}

const parsed = new WeakMap<object, Config>();

/** Returns the edge's configuration, which is parsed once for each environment object.
 *
 * @throws RoomcastError `InternalError` that names each variable that is missing or malformed.
 */
export function readConfig(env: object): Config {
  const known = parsed.get(env);
  if (known !== undefined) return known;
  const config = parseConfig(env);
  parsed.set(env, config);
  return config;
}

/** @throws RoomcastError `InternalError` */
export function parseConfig(variables: object): Config {
  const result = configSchema.safeParse(variables);
  if (!result.success) {
    const names = [...new Set(result.error.issues.map((issue) => String(issue.path[0])))];
    const problems = names.map((name) => {
      const state = name in variables ? "malformed" : "missing";
      // SAFETY: the first element of an issue's path is a key of the schema.
      const how = HOW[name as keyof typeof HOW] ?? "a whole number of milliseconds, set under [vars] of wrangler.toml";
      return `${name} is ${state}: expected ${how}`;
    });
    throw new RoomcastError("InternalError", `The edge is not configured: ${problems.join("; ")}.`);
  }
  const values = result.data;
  return Object.freeze({
    credentials: values.CREDENTIALS,
    workerTokenKeys: values.WORKER_TOKEN_KEY,
    sealKeys: values.SEAL_KEY,
    trtcApps: new Map(Object.entries(values.TRTC_APPS).map(([id, key]) => [Number(id), key])),
    trtcCallbackKeys: new Map(Object.entries(values.TRTC_CALLBACK_KEYS).map(([id, key]) => [Number(id), key])),
    defaultRegion: values.DEFAULT_REGION,
    regions: [...new Set([values.DEFAULT_REGION, ...values.REGIONS])],
    queueTimeoutMs: values.QUEUE_TIMEOUT_MS,
    placeRetryMs: values.PLACE_RETRY_MS,
    acceptTimeoutMs: values.ACCEPT_TIMEOUT_MS,
    executionTimeoutMs: values.EXECUTION_TIMEOUT_MS,
    stopTimeoutMs: values.STOP_TIMEOUT_MS,
    tidyStopTimeoutMs: values.TIDY_STOP_TIMEOUT_MS,
    updateTimeoutMs: values.UPDATE_TIMEOUT_MS,
    taskSilenceMs: values.TASK_SILENCE_MS,
    retentionMs: values.RETENTION_MS,
    workerGraceMs: values.WORKER_GRACE_MS,
    workerReturnMs: values.WORKER_RETURN_MS,
    heartbeatTimeoutMs: values.HEARTBEAT_TIMEOUT_MS,
    reportIntervalMs: values.REPORT_INTERVAL_MS,
    helloTimeoutMs: values.HELLO_TIMEOUT_MS,
    busyCpuPercent: values.BUSY_CPU_PERCENT,
    callbackAllow: values.CALLBACK_ALLOW_HOSTS,
    corsOrigins: values.CORS_ORIGINS,
    callbackTimeoutMs: values.CALLBACK_TIMEOUT_MS,
    callbackRetryMs: values.CALLBACK_RETRY_MS,
    callbackGiveUpMs: values.CALLBACK_GIVE_UP_MS,
    rateLimitPerSecond: values.RATE_LIMIT_PER_SECOND,
    scfUtcOffsetMinutes: values.SCF_UTC_OFFSET_MINUTES,
  });
}
