import type { PushRequest } from "./push-request.ts";
import type { ShownRequest } from "./redact.ts";

type Parameter = keyof PushRequest;

/** On these only the edge acts. */
const FOR_THE_EDGE: readonly Parameter[] = [
  "OnConflict",
  "QueueTimeout",
  "ExecutionTimeout",
  "CallbackUrl",
  "CallbackKey",
  "CallbackEvents",
];

/** What a worker of protocol 1 reads in a request; it refuses any other parameter. */
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

/** The request as a worker gets it: without the parameters on which only the edge acts. Pure. */
export function requestForWorker(request: PushRequest): PushRequest {
  // SAFETY: only optional parameters are left out.
  return Object.fromEntries(forWorker(request)) as PushRequest;
}

/** The oldest protocol version whose workers can carry a request. Pure. */
export function requiredProtocol(request: PushRequest | ShownRequest): number {
  const oldParameters = forWorker(request).every(([name]) => READ_BY_1.some((known) => known === name));
  const oldSource = typeof request.VideoSrc === "string" && !/^srt:/i.test(request.VideoSrc);
  return oldSource && oldParameters ? 1 : 2;
}

function forWorker(request: PushRequest | ShownRequest): [string, unknown][] {
  return Object.entries(request).filter(
    ([name, value]) => value !== undefined && !FOR_THE_EDGE.some((known) => known === name),
  );
}
