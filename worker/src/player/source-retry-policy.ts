import type { ErrorCode, RoomcastError } from "@roomcast/shared";

/** What the room has seen of a source when an error comes. */
export type SourceHistory =
  /** Nothing yet: it is the next item of a playlist, and could not be opened. */
  | "unopened"
  /** It was on the air, and this error took it off. */
  | "brokeOff"
  /** It was on the air, is waited for, and could not be opened again. */
  | "away";

/** How long a source is tried again while the room sees the last picture. */
export type RetryPolicy =
  /** As long as the task waits for a source (`IdleTimeout`). */
  | "wait"
  /** So long, and not more than a few times without progress in between. */
  | "fewTries"
  | "none";

type PolicyByHistory = Readonly<Record<SourceHistory, RetryPolicy>>;

const ALWAYS: PolicyByHistory = { unopened: "wait", brokeOff: "wait", away: "wait" };
/** A file that played a moment ago is on its way from one node of a CDN to another, or its server is rate limiting. */
const ONCE_SEEN: PolicyByHistory = { unopened: "none", brokeOff: "wait", away: "wait" };
/** A place in a file that ended its reader once will probably do so again; a process that was killed will not. */
const ENGINE: PolicyByHistory = { unopened: "none", brokeOff: "fewTries", away: "fewTries" };
/** What is wrong with the file stays wrong; while a source is away, an error page may stand in its place. */
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
 * What may pass is not final for a source that has been on the air. A live one is new each time that it is opened, so
 * nothing that it fails with is final. Pure.
 */
export function retryPolicyFor(
  { code }: Pick<RoomcastError, "code">,
  { live, history }: { readonly live: boolean; readonly history: SourceHistory },
): RetryPolicy {
  const recorded = RECORDED[code];
  if (recorded === undefined) return "none";
  return live && history !== "unopened" ? "wait" : recorded[history];
}
