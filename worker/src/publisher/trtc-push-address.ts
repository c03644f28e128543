import type { Seat } from "@roomcast/shared";

/** Where TRTC takes RTMP: the first for applications of mainland China, the second for the others. */
const MAINLAND_HOST = "rtmp.rtc.qq.com";
const INTERNATIONAL_HOST = "intl-rtmp.rtc.qq.com";
/** For both, where the name of the first cannot be resolved or the host not be reached. */
const BACKUP_HOST = "rtmp.rtc-web.com";
/** SdkAppIds below belong to the international site, as in Tencent's own clients. */
const FIRST_MAINLAND_APP = 1_400_000_000;
const APP = "push";

/** Where rooms are published; all of it is the operator's. */
export interface PushHosts {
  /** Over TLS, where TRTC's own hosts are used. */
  readonly tls: boolean;
  /** `rtmp(s)://host[:port]/app`, without query, for all applications; undefined: TRTC's own hosts. */
  readonly base: string | undefined;
  /** The same for single applications, by SdkAppId. */
  readonly baseByApp: Readonly<Record<number, string>>;
}

export interface TrtcPushAddress {
  /** Default: TRTC's own hosts. */
  readonly hosts?: PushHosts;
  readonly seat: Seat;
  readonly userSig: string;
  /** Permission for the room, of applications that demand it. */
  readonly privateMapKey?: string;
}

export interface TrtcPushUrls {
  readonly url: string;
  /** The same at TRTC's second host. */
  readonly backupUrl?: string;
}

const TRTC_HOSTS: PushHosts = { tls: false, base: undefined, baseByApp: {} };

/**
 * The URLs at which a seat of a TRTC room takes a stream. They hold the UserSig: never show them, never give them to
 * another process. Pure.
 */
export function trtcPushUrls({ hosts = TRTC_HOSTS, seat, userSig, privateMapKey }: TrtcPushAddress): TrtcPushUrls {
  const { room, sdkAppId, userId } = seat;
  const query = [
    `sdkappid=${sdkAppId}`,
    `userid=${encodeURIComponent(userId)}`,
    `usersig=${encodeURIComponent(userSig)}`,
    // Without it the room would be the string room of the same digits.
    ...(room.kind === "number" ? ["use_number_room_id=1"] : []),
    ...(privateMapKey === undefined ? [] : [`private_map_key=${encodeURIComponent(privateMapKey)}`]),
  ].join("&");
  const key = `${encodeURIComponent(room.id)}?${query}`;
  const base = Object.hasOwn(hosts.baseByApp, sdkAppId) ? hosts.baseByApp[sdkAppId] : hosts.base;
  const url = `${(base ?? trtcBase(hosts.tls, sdkAppId)).replace(/\/+$/, "")}/${key}`;
  const backupUrl = backupOf(url);
  return { url, ...(backupUrl === null ? {} : { backupUrl }) };
}

function trtcBase(tls: boolean, sdkAppId: number): string {
  const host = sdkAppId < FIRST_MAINLAND_APP ? INTERNATIONAL_HOST : MAINLAND_HOST;
  return `${tls ? "rtmps" : "rtmp"}://${host}/${APP}`;
}

/** @returns null for a host that is not TRTC's: an operator's own name leads where the operator wants. */
function backupOf(url: string): string | null {
  const [, scheme, host = "", path] = /^(rtmps?):\/\/([^/]*)(.*)$/s.exec(url) ?? [];
  return host === MAINLAND_HOST || host === INTERNATIONAL_HOST ? `${scheme}://${BACKUP_HOST}${path}` : null;
}
