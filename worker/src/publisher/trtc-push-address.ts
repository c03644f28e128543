import type { Seat } from "@roomcast/shared";

/** TRTC's RTMP hosts: the first for applications of mainland China, the second for all others. */
const MAINLAND_HOST = "rtmp.rtc.qq.com";
const INTERNATIONAL_HOST = "intl-rtmp.rtc.qq.com";
/** The backup of both hosts, which is used if a host's name cannot be resolved or the host cannot be reached. */
const BACKUP_HOST = "rtmp.rtc-web.com";
/**
 * The lowest SdkAppId of mainland China. Lower ones belong to the international site, which is the rule of Tencent's own
 * clients.
 */
const FIRST_MAINLAND_APP = 1_400_000_000;
const APP = "push";

/** The hosts that streams are published to, as the operator has configured them. */
export interface PushHosts {
  /** True if TLS is used with TRTC's own hosts. */
  readonly tls: boolean;
  /** `rtmp(s)://host[:port]/app`, without a query, for all applications. Undefined if TRTC's own hosts are used. */
  readonly base: string | undefined;
  /** The bases for single applications, by SdkAppId. Each takes precedence over `base`. */
  readonly baseByApp: Readonly<Record<number, string>>;
}

export interface TrtcPushAddress {
  /** Default: TRTC's own hosts. */
  readonly hosts?: PushHosts;
  readonly seat: Seat;
  readonly userSig: string;
  /** The permission to enter the room, for applications that require one. */
  readonly privateMapKey?: string;
}

export interface TrtcPushUrls {
  readonly url: string;
  /** The URL of the same stream at TRTC's backup host; absent for a host that is not TRTC's own. */
  readonly backupUrl?: string;
}

const TRTC_HOSTS: PushHosts = { tls: false, base: undefined, baseByApp: {} };

/**
 * Returns the URLs for publishing to a seat of a TRTC room. They contain the UserSig, so they must never be shown or
 * passed to another process. Pure.
 */
export function trtcPushUrls({ hosts = TRTC_HOSTS, seat, userSig, privateMapKey }: TrtcPushAddress): TrtcPushUrls {
  const { room, sdkAppId, userId } = seat;
  const query = [
    `sdkappid=${sdkAppId}`,
    `userid=${encodeURIComponent(userId)}`,
    `usersig=${encodeURIComponent(userSig)}`,
    // Without this parameter, TRTC would use the string room with the same digits.
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

/** @returns null for a host that is not TRTC's, because an operator's own host has no known backup */
function backupOf(url: string): string | null {
  const [, scheme, host = "", path] = /^(rtmps?):\/\/([^/]*)(.*)$/s.exec(url) ?? [];
  return host === MAINLAND_HOST || host === INTERNATIONAL_HOST ? `${scheme}://${BACKUP_HOST}${path}` : null;
}
