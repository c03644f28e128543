import type { RtmpStatus } from "../rtmp/rtmp-client.ts";

/** Why TRTC turns pushes away, in the order in which its documents name the causes. */
export const TRTC_REFUSAL_CAUSES =
  "Usual causes with TRTC, the most frequent first: the application has no RTMP package, or it has expired; the UserSig " +
  "is wrong or has expired; the stream has B-frames; the RTMP chunk size is too large (1360 is advised); the same UserId " +
  "pushes elsewhere in the application";

/** What a room's status means for a publish. */
export type RoomVerdict =
  /** Publishing may begin. */
  | "started"
  /** Nothing that matters. */
  | "told"
  /** Not now and not later: asking again with the same request gives the same answer. */
  | "refused"
  /** Another publisher took the seat. */
  | "replaced"
  /** The room ended the publish for a reason that may pass. */
  | "lost";

/**
 * The codes that are recognised. A level of `error` with any other code refuses a publish that has not begun, and
 * loses one that has.
 */
const VERDICTS: Readonly<Record<string, RoomVerdict>> = {
  "NetStream.Publish.Start": "started",
  /** The room, the query or a value in it is wrong. */
  "NetStream.Publish.BadName": "refused",
  /** The UserSig does not open the seat. */
  "NetStream.Publish.Denied": "refused",
  "NetStream.Publish.Rejected": "refused",
  "NetStream.Authenticate.UsherFailed": "refused",
  "NetConnection.Connect.Rejected": "refused",
  "NetConnection.Connect.InvalidApp": "refused",
  /** The room put the user out. */
  "NetStream.Publish.Kicked": "refused",
  "NetStream.Publish.Replaced": "replaced",
  "NetStream.Unpublish.Replaced": "replaced",
  "NetStream.Unpublish.Success": "lost",
  "NetConnection.Connect.Closed": "lost",
  "NetConnection.Connect.AppShutdown": "lost",
};

/** Reads a status of the room. Pure. */
export function judgeRoomStatus(
  status: Pick<RtmpStatus, "level" | "code">,
  phase: "starting" | "publishing",
): RoomVerdict {
  const known = VERDICTS[status.code];
  if (known !== undefined) return known;
  if (status.level !== "error") return "told";
  return phase === "starting" ? "refused" : "lost";
}
