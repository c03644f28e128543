import { describe, expect, it } from "vitest";
import { parseRtmpUrl } from "../rtmp/rtmp-address.ts";
import { trtcPushUrl } from "./trtc-push-address.ts";

const seat = { sdkAppId: 1_400_000_001, userId: "teacher-1", room: { kind: "string", id: "class_7" } } as const;

describe("trtcPushUrl", () => {
  it("names room, application, user and signature as TRTC wants them", () => {
    expect(trtcPushUrl({ seat, userSig: "eJx*Y-Z_" })).toBe(
      "rtmp://rtmp.rtc.qq.com/push/class_7?sdkappid=1400000001&userid=teacher-1&usersig=eJx*Y-Z_",
    );
  });

  it("marks an integer room as such", () => {
    expect(trtcPushUrl({ seat: { ...seat, room: { kind: "number", id: 42 } }, userSig: "sig" })).toBe(
      "rtmp://rtmp.rtc.qq.com/push/42?sdkappid=1400000001&userid=teacher-1&usersig=sig&use_number_room_id=1",
    );
  });

  it("takes another base, with or without a slash at its end", () => {
    for (const base of ["rtmps://intl-rtmp.rtc.qq.com/push", "rtmps://intl-rtmp.rtc.qq.com/push/"]) {
      expect(trtcPushUrl({ base, seat, userSig: "sig" })).toMatch(
        /^rtmps:\/\/intl-rtmp\.rtc\.qq\.com\/push\/class_7\?/,
      );
    }
  });

  it("lets no value of a request leave its place in the query", () => {
    const url = trtcPushUrl({ seat: { ...seat, userId: "a&usersig=b" }, userSig: "c&d=#e" });
    expect(new URL(url).searchParams.get("userid")).toBe("a&usersig=b");
    expect(new URL(url).searchParams.get("usersig")).toBe("c&d=#e");
  });

  it("splits into the app push and a stream key with the query", () => {
    expect(parseRtmpUrl(trtcPushUrl({ seat, userSig: "sig" }))).toMatchObject({
      app: "push",
      tcUrl: "rtmp://rtmp.rtc.qq.com/push",
      streamKey: "class_7?sdkappid=1400000001&userid=teacher-1&usersig=sig",
    });
  });
});
