import type { ErrorCode, RoomcastError } from "@roomcast/shared";
import { Backoff } from "../base/backoff.ts";

const ROOM_MAY_RETURN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "FailedOperation.RoomLost",
  "FailedOperation.RoomUnreachable",
]);

/**
 * Returns true if a session connects to its room again after this error. It does not do so if the room refused the
 * publisher or gave the seat to another one. Pure.
 */
export function mayReconnect(error: RoomcastError): boolean {
  return ROOM_MAY_RETURN.has(error.code);
}

/**
 * Returns the delays before a session connects to its room again.
 *
 * @param budgetMs the time for which the session keeps trying after the connection was lost
 */
export function reconnectBackoff(budgetMs: number): Backoff {
  return new Backoff({ initialMs: 500, maxMs: 5_000, budgetMs, healthyAfterMs: 10_000 });
}
