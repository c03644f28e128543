import type { PushRequest, TaskUpdate } from "./push-request.ts";
import type { ShownRequest } from "./redact.ts";
import { isRedisUrl } from "./redis-address.ts";

type Parameter = keyof PushRequest;

/** The parameters that only the edge uses. */
const FOR_THE_EDGE: readonly Parameter[] = [
  "OnConflict",
  "QueueTimeout",
  "ExecutionTimeout",
  "EmptyRoomTimeout",
  "CallbackUrl",
  "CallbackKey",
  "CallbackEvents",
];

/** The parameters that a worker of protocol 1 reads; it refuses any other one. */
const READ_BY_1: readonly Parameter[] = [
  "VideoSrc",
  "SdkAppId",
  "RoomId",
  "StrRoomId",
  "Mode",
  "UserId",
  "UserSig",
  "Redis",
  "RedisHost",
  "RedisPort",
  "RedisPassword",
  "Region",
];

/** The parameters that a worker of protocol 2 refuses, in a request and in a change. */
const NEW_IN_3: readonly Parameter[] = ["AudioTrack", "Rendition", "OnItemError", "RedisUser", "RedisTls", "RedisDb"];

/** The parameters that workers before protocol 3 require if Redis is true. */
const REDIS_DEFAULTS = { RedisPort: 6379, RedisPassword: "" } as const satisfies Partial<PushRequest>;

/** Returns the request for a worker, without the parameters that only the edge uses. Pure. */
export function requestForWorker(request: PushRequest): PushRequest {
  // SAFETY: only optional parameters are left out.
  const sent = Object.fromEntries(forWorker(request)) as PushRequest;
  return sent.Redis && !isRedisUrl(sent.RedisHost) ? { ...REDIS_DEFAULTS, ...sent } : sent;
}

/** Returns the oldest protocol version whose workers can carry out a request. Pure. */
export function requiredProtocol(request: PushRequest | ShownRequest): number {
  const sent = forWorker(request);
  if (isRedisUrl(request.RedisHost) || sent.some(([name]) => isAmong(NEW_IN_3, name))) return 3;
  const oldSource = typeof request.VideoSrc === "string" && !/^srt:/i.test(request.VideoSrc);
  return oldSource && sent.every(([name]) => isAmong(READ_BY_1, name)) ? 1 : 2;
}

/** Returns the oldest protocol version whose workers can make this change of a push. Pure. */
export function requiredProtocolOfUpdate(change: TaskUpdate): number {
  return Object.keys(change).some((name) => isAmong(NEW_IN_3, name)) ? 3 : 2;
}

function isAmong(parameters: readonly Parameter[], name: string): boolean {
  return parameters.some((known) => known === name);
}

function forWorker(request: PushRequest | ShownRequest): [string, unknown][] {
  return Object.entries(request).filter(([name, value]) => value !== undefined && !isAmong(FOR_THE_EDGE, name));
}
