import type { PushRequest, ShownRequest } from "@roomcast/shared";

/** The time before its start at which a push is given to a worker, so that its source is ready when it starts. */
const START_LEAD_MS = 15_000;
const MINUTE_MS = 60_000;
/** The time that a worker may take to end a push after its MaxDuration. */
const END_MARGIN_MS = 60_000;

type Timed = Pick<PushRequest | ShownRequest, "StartAt" | "MaxDuration" | "ExecutionTimeout" | "QueueTimeout">;

/** Returns the earliest time at which a task accepted now may be placed, Unix ms. Pure. */
export function firstPlaceAtMs({ StartAt }: Timed, nowMs: number): number {
  return StartAt === undefined ? nowMs : Math.max(nowMs, Date.parse(StartAt) - START_LEAD_MS);
}

/** Returns how long a push may wait for a worker, in ms: the request's `QueueTimeout`, or else the edge's default. Pure. */
export function queueTimeoutMs({ QueueTimeout }: Timed, policy: { readonly queueTimeoutMs: number }): number {
  return QueueTimeout === undefined ? policy.queueTimeoutMs : QueueTimeout * 1000;
}

/**
 * Returns how long a push may run from its first picture, in ms: the request's `ExecutionTimeout`, or else the edge's default.
 * The default is extended beyond `MaxDuration`, so that the worker can end the push there without a failure. Pure.
 */
export function executionLimitMs({ ExecutionTimeout, MaxDuration = 0 }: Timed, defaultMs: number): number {
  if (ExecutionTimeout !== undefined) return ExecutionTimeout * 1000;
  return MaxDuration === 0 ? defaultMs : Math.max(defaultMs, MaxDuration * MINUTE_MS + END_MARGIN_MS);
}

/**
 * Returns the request for a worker that continues a push. Its `MaxDuration` is what is left of it after `passedMs`, in whole
 * minutes and at least one. Pure.
 */
export function leftOfMaxDuration(request: PushRequest, passedMs: number): PushRequest {
  if (request.MaxDuration === undefined) return request;
  const leftMs = request.MaxDuration * MINUTE_MS - passedMs;
  return { ...request, MaxDuration: Math.max(1, Math.ceil(leftMs / MINUTE_MS)) };
}
