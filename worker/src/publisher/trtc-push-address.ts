import type { Seat } from "@roomcast/shared";

/** Where TRTC takes RTMP; its international host is `intl-rtmp.rtc.qq.com`. */
const TRTC_PUSH_BASE = "rtmp://rtmp.rtc.qq.com/push";

export interface TrtcPushAddress {
  /** `rtmp(s)://host[:port]/app`, without query. */
  readonly base?: string;
  readonly seat: Seat;
  readonly userSig: string;
}

/**
 * The URL at which a seat of a TRTC room takes a stream. It holds the UserSig: never show it, never give it to another
 * process. Pure.
 */
export function trtcPushUrl({ base = TRTC_PUSH_BASE, seat, userSig }: TrtcPushAddress): string {
  const { room, sdkAppId, userId } = seat;
  const query = [
    `sdkappid=${sdkAppId}`,
    `userid=${encodeURIComponent(userId)}`,
    `usersig=${encodeURIComponent(userSig)}`,
    // Without it the room would be the string room of the same digits.
    ...(room.kind === "number" ? ["use_number_room_id=1"] : []),
  ].join("&");
  return `${base.replace(/\/+$/, "")}/${encodeURIComponent(room.id)}?${query}`;
}
