import { describe, expect, it } from "vitest";
import { parseRtmpUrl } from "../rtmp/rtmp-address.ts";
import { trtcPushUrls } from "./trtc-push-address.ts";

const seat = { sdkAppId: 1_400_000_001, userId: "teacher-1", room: { kind: "string", id: "class_7" } } as const;
const hosts = { tls: false, base: undefined, baseByApp: {} };
const QUERY = "sdkappid=1400000001&userid=teacher-1&usersig=sig";

const hostOf = (url: string | undefined) => (url === undefined ? undefined : parseRtmpUrl(url)?.host);

describe("trtcPushUrls", () => {
  it("puts room, application, user and signature into the URL as TRTC expects them", () => {
    expect(trtcPushUrls({ seat, userSig: "eJx*Y-Z_" })).toEqual({
      url: "rtmp://rtmp.rtc.qq.com/push/class_7?sdkappid=1400000001&userid=teacher-1&usersig=eJx*Y-Z_",
      backupUrl: "rtmp://rtmp.rtc-web.com/push/class_7?sdkappid=1400000001&userid=teacher-1&usersig=eJx*Y-Z_",
    });
  });

  it("marks an integer room", () => {
    const { url } = trtcPushUrls({ seat: { ...seat, room: { kind: "number", id: 42 } }, userSig: "sig" });
    expect(url).toBe(`rtmp://rtmp.rtc.qq.com/push/42?${QUERY}&use_number_room_id=1`);
  });

  it("adds the room's permission key", () => {
    const { url } = trtcPushUrls({ seat, userSig: "sig", privateMapKey: "key*+&=" });
    expect(url).toBe(`rtmp://rtmp.rtc.qq.com/push/class_7?${QUERY}&private_map_key=key*%2B%26%3D`);
  });

  it.each([
    [1_400_000_000, "rtmp.rtc.qq.com"],
    [1_600_000_000, "rtmp.rtc.qq.com"],
    [1_399_999_999, "intl-rtmp.rtc.qq.com"],
    [20_000_001, "intl-rtmp.rtc.qq.com"],
  ])("uses the host of application %i, with the same backup for all", (sdkAppId, host) => {
    for (const tls of [false, true]) {
      const { url, backupUrl } = trtcPushUrls({
        hosts: { ...hosts, tls },
        seat: { ...seat, sdkAppId },
        userSig: "sig",
      });
      expect([hostOf(url), hostOf(backupUrl)]).toEqual([host, "rtmp.rtc-web.com"]);
      expect([url, backupUrl].map((text) => text?.startsWith("rtmps:"))).toEqual([tls, tls]);
    }
  });

  it("uses a configured base, with or without a trailing slash, without a backup", () => {
    for (const base of ["rtmps://push.example.com:8443/push", "rtmps://push.example.com:8443/push/"]) {
      expect(trtcPushUrls({ hosts: { ...hosts, base }, seat, userSig: "sig" })).toEqual({
        url: `rtmps://push.example.com:8443/push/class_7?${QUERY}`,
      });
    }
  });

  it("keeps the backup when the configured base is one of TRTC's own hosts", () => {
    const base = "rtmps://intl-rtmp.rtc.qq.com/push";
    const { url, backupUrl } = trtcPushUrls({ hosts: { ...hosts, base }, seat, userSig: "sig" });
    expect([url, backupUrl]).toEqual([
      `rtmps://intl-rtmp.rtc.qq.com/push/class_7?${QUERY}`,
      `rtmps://rtmp.rtc-web.com/push/class_7?${QUERY}`,
    ]);
  });

  it("prefers the base configured for an application", () => {
    const own = {
      ...hosts,
      base: "rtmp://all.example.com/push",
      baseByApp: { 1400000001: "rtmp://own.example.com/push" },
    };
    expect(hostOf(trtcPushUrls({ hosts: own, seat, userSig: "sig" }).url)).toBe("own.example.com");
    const other = { ...seat, sdkAppId: 1_400_000_002 };
    expect(hostOf(trtcPushUrls({ hosts: own, seat: other, userSig: "sig" }).url)).toBe("all.example.com");
  });

  it("escapes every value of a request in the query", () => {
    const { url } = trtcPushUrls({ seat: { ...seat, userId: "a&usersig=b" }, userSig: "c&d=#e", privateMapKey: "f&g" });
    const query = new URL(url).searchParams;
    expect([query.get("userid"), query.get("usersig"), query.get("private_map_key")]).toEqual([
      "a&usersig=b",
      "c&d=#e",
      "f&g",
    ]);
  });

  it("splits into the app push and a stream key with the query", () => {
    expect(parseRtmpUrl(trtcPushUrls({ seat, userSig: "sig" }).url)).toMatchObject({
      app: "push",
      tcUrl: "rtmp://rtmp.rtc.qq.com/push",
      streamKey: `class_7?${QUERY}`,
    });
  });
});
