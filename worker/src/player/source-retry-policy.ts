import type { ErrorCode, RoomcastError } from "@roomcast/shared";

/** The state of a source, as the room has seen it, when an error occurs. */
export type SourceHistory =
  /** The room has seen nothing: the source is the next item of a playlist and could not be opened. */
  | "unopened"
  /** The source was on the air until this error. */
  | "brokeOff"
  /** The source was on the air before and could not be opened again. */
  | "away";

/** The time for which a source is retried while the room sees the last picture. */
export type RetryPolicy =
  /** The source is retried for as long as the task waits for a source (`IdleTimeout`). */
  | "wait"
  /** The source is retried as with `wait`, but only a few times without progress in between. */
  | "fewTries"
  | "none";

type PolicyByHistory = Readonly<Record<SourceHistory, RetryPolicy>>;

const ALWAYS: PolicyByHistory = { unopened: "wait", brokeOff: "wait", away: "wait" };
/**
 * Errors that are retried only once the source was seen: a file that has just played may be moving between CDN nodes,
 * or its server may be limiting the rate.
 */
const ONCE_SEEN: PolicyByHistory = { unopened: "none", brokeOff: "wait", away: "wait" };
/**
 * Errors of ffmpeg. A place in a file that crashed ffmpeg will probably crash it again, but a process that was killed
 * may succeed the next time.
 */
const ENGINE: PolicyByHistory = { unopened: "none", brokeOff: "fewTries", away: "fewTries" };
/**
 * Errors of the file. A damaged file stays damaged. But while a source is away, its server may return an error page
 * instead of the file.
 */
const ONLY_WHILE_AWAY: PolicyByHistory = { unopened: "none", brokeOff: "none", away: "wait" };

const RECORDED: Partial<Record<ErrorCode, PolicyByHistory>> = {
  "FailedOperation.SourceLost": ALWAYS,
  "FailedOperation.SourceTimeout": ALWAYS,
  "FailedOperation.SourceUnreachable": ALWAYS,
  "FailedOperation.SourceNotFound": ONCE_SEEN,
  "FailedOperation.SourceForbidden": ONCE_SEEN,
  "FailedOperation.MediaEngine": ENGINE,
  InternalError: ENGINE,
  "FailedOperation.SourceTruncated": ONLY_WHILE_AWAY,
  "FailedOperation.SourceNotMedia": ONLY_WHILE_AWAY,
  "FailedOperation.SourceUnsupported": ONLY_WHILE_AWAY,
};

/**
 * Returns how a source is retried after an error. Errors that may be temporary are retried for a source that has been
 * on the air. A live source can differ each time it is opened, so once it has been on the air all its errors in the
 * table are retried. Pure.
 */
export function retryPolicyFor(
  { code }: Pick<RoomcastError, "code">,
  { live, history }: { readonly live: boolean; readonly history: SourceHistory },
): RetryPolicy {
  const recorded = RECORDED[code];
  if (recorded === undefined) return "none";
  return live && history !== "unopened" ? "wait" : recorded[history];
}
