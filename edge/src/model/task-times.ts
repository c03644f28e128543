import type { PushRequest, ShownRequest } from "@roomcast/shared";

/** A push with a time to start at is given to a worker so long before it, so that its source is ready then. */
const START_LEAD_MS = 15_000;
const MINUTE_MS = 60_000;
/** What a worker may take to end a push by itself after its MaxDuration. */
const END_MARGIN_MS = 60_000;

type Timed = Pick<PushRequest | ShownRequest, "StartAt" | "MaxDuration" | "ExecutionTimeout" | "QueueTimeout">;

/** When a task that is accepted now may first be placed, Unix ms. Pure. */
export function firstPlaceAtMs({ StartAt }: Timed, nowMs: number): number {
  return StartAt === undefined ? nowMs : Math.max(nowMs, Date.parse(StartAt) - START_LEAD_MS);
}

/** How long a push may wait for a worker, ms: as the request says; else as the edge allows. Pure. */
export function queueTimeoutMs({ QueueTimeout }: Timed, policy: { readonly queueTimeoutMs: number }): number {
  return QueueTimeout === undefined ? policy.queueTimeoutMs : QueueTimeout * 1000;
}

/**
 * How long a push may run, from its first picture, ms: as the request says; else as the edge allows, but not shorter
 * than the MaxDuration after which its worker ends it without a failure. Pure.
 */
export function executionLimitMs({ ExecutionTimeout, MaxDuration = 0 }: Timed, defaultMs: number): number {
  if (ExecutionTimeout !== undefined) return ExecutionTimeout * 1000;
  return MaxDuration === 0 ? defaultMs : Math.max(defaultMs, MaxDuration * MINUTE_MS + END_MARGIN_MS);
}

/**
 * The request for a worker that goes on with a push which began so long ago, ms: what is left of its MaxDuration, in
 * whole minutes, at least one. Pure.
 */
export function leftOfMaxDuration(request: PushRequest, passedMs: number): PushRequest {
  if (request.MaxDuration === undefined) return request;
  const leftMs = request.MaxDuration * MINUTE_MS - passedMs;
  return { ...request, MaxDuration: Math.max(1, Math.ceil(leftMs / MINUTE_MS)) };
}
