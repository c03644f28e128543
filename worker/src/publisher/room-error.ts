import { type ErrorCode, RoomcastError, shownText } from "@roomcast/shared";
import type { RtmpStatus } from "../rtmp/rtmp-client.ts";
import { NotReachedError } from "./publish-dialogue.ts";
import { TRTC_REFUSAL_CAUSES } from "./trtc-refusal.ts";

const VERDICT_ERRORS = {
  refused: ["FailedOperation.RoomRefused", "The room refused the push"],
  replaced: ["FailedOperation.RoomReplaced", "Another publisher with the same UserId took the place in the room"],
  lost: ["FailedOperation.RoomLost", "The room ended the push"],
} as const satisfies Record<string, readonly [ErrorCode, string]>;

export type EndVerdict = keyof typeof VERDICT_ERRORS;

export interface RoomVerdict {
  readonly verdict: EndVerdict;
  readonly status: RtmpStatus;
  /** True if publishing had not started. */
  readonly starting: boolean;
  readonly secrets: readonly string[];
}

/** Returns the error for a room's status. The message includes the room's own text, from which secrets are removed. */
export function roomVerdictError({ verdict, status, starting, secrets }: RoomVerdict): RoomcastError {
  const words = [status.code, status.description].filter((part) => part !== "").join(": ");
  const said = shownText(words, secrets).slice(0, 500) || "it gave no reason";
  const [code, what] = VERDICT_ERRORS[verdict];
  const causes = verdict === "refused" && starting ? ` ${TRTC_REFUSAL_CAUSES}.` : "";
  return new RoomcastError(code, `${what} (${said}).${causes}`);
}

/**
 * Returns the reason for which a connection failed. Of a socket error only the code is shown, because its message may contain
 * the address.
 */
export function reasonOf(thrown: unknown): string {
  if (thrown instanceof NotReachedError) return reasonOf(thrown.cause);
  if (thrown instanceof Error && "code" in thrown && typeof thrown.code === "string") return thrown.code;
  if (thrown instanceof DOMException && thrown.name === "TimeoutError") return "it took too long";
  return thrown instanceof Error && thrown.name === "RtmpProtocolError"
    ? "it does not speak RTMP"
    : "it closed the connection";
}
