import { type ErrorCode, type Outcome, RoomcastError } from "@roomcast/shared";
import type { Logger } from "pino";

/** Errors that are the fault of the worker or its machine. The caller has to fix all other errors. */
const OURS: ReadonlySet<ErrorCode> = new Set(["InternalError", "FailedOperation.MediaEngine"]);

export interface EndedTask {
  readonly outcome: Outcome;
  readonly item: number;
  readonly positionMs: number;
}

/** Logs the end of a task in one line, with the error and its cause. */
export function logEnd(log: Logger, { outcome, item, positionMs }: EndedTask, cause: RoomcastError | undefined): void {
  const end = { outcome: outcome.name, item, positionMs: Math.round(positionMs) };
  if (outcome.name === "failed") {
    const level = OURS.has(outcome.error.code) ? "error" : "warn";
    log[level]({ ...end, err: cause ?? RoomcastError.fromBody(outcome.error) }, "task ended");
  } else if (outcome.name === "aborted") log.info({ ...end, reason: outcome.reason }, "task ended");
  else log.info(end, "task ended");
}
