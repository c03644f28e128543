import type { RtmpStatus } from "../rtmp/rtmp-client.ts";

/** The reasons for which TRTC refuses pushes, in the order of its documentation. */
export const TRTC_REFUSAL_CAUSES =
  "Usual causes with TRTC, the most frequent first: the application has no RTMP package, or it has expired; the UserSig " +
  "is wrong or has expired; the stream has B-frames; the RTMP chunk size is too large (1360 is advised); the same UserId " +
  "pushes elsewhere in the application";

/** The meaning of a room's status for a publish. */
export type RoomVerdict =
  /** Publishing may begin. */
  | "started"
  /** The status has no effect. */
  | "told"
  /** The room refuses the push, and would refuse the same request again. */
  | "refused"
  /** Another publisher took the seat. */
  | "replaced"
  /** The room ended the publish for a reason that may be temporary. */
  | "lost";

/**
 * The known codes. A status with the level `error` and any other code means that a publish that has not started is refused, and
 * that one that has started is lost.
 */
const VERDICTS: Readonly<Record<string, RoomVerdict>> = {
  "NetStream.Publish.Start": "started",
  /** The room, the query or a value in it is wrong. */
  "NetStream.Publish.BadName": "refused",
  /** The UserSig is not valid for the seat. */
  "NetStream.Publish.Denied": "refused",
  "NetStream.Publish.Rejected": "refused",
  "NetStream.Authenticate.UsherFailed": "refused",
  "NetConnection.Connect.Rejected": "refused",
  "NetConnection.Connect.InvalidApp": "refused",
  /** The user was removed from the room. */
  "NetStream.Publish.Kicked": "refused",
  "NetStream.Publish.Replaced": "replaced",
  "NetStream.Unpublish.Replaced": "replaced",
  "NetStream.Unpublish.Success": "lost",
  "NetConnection.Connect.Closed": "lost",
  "NetConnection.Connect.AppShutdown": "lost",
};

/** Returns the meaning of a room's status. Pure. */
export function judgeRoomStatus(
  status: Pick<RtmpStatus, "level" | "code">,
  phase: "starting" | "publishing",
): RoomVerdict {
  const known = VERDICTS[status.code];
  if (known !== undefined) return known;
  if (status.level !== "error") return "told";
  return phase === "starting" ? "refused" : "lost";
}
