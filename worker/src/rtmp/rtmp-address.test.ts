import { describe, expect, it } from "vitest";
import { parseRtmpUrl } from "./rtmp-address.ts";

describe("parseRtmpUrl", () => {
  it.each([
    [
      "rtmp://rtmp.rtc.qq.com/push/room_1?sdkappid=1&usersig=a*b-c_",
      {
        host: "rtmp.rtc.qq.com",
        port: 1935,
        tls: false,
        app: "push",
        tcUrl: "rtmp://rtmp.rtc.qq.com/push",
        streamKey: "room_1?sdkappid=1&usersig=a*b-c_",
      },
    ],
    ["rtmps://example.com/live/a", { port: 443, tls: true, tcUrl: "rtmps://example.com/live" }],
    ["rtmp://[::1]:1936/live/a", { host: "::1", port: 1936, tcUrl: "rtmp://[::1]:1936/live" }],
    ["rtmp://user:secret@host/live/a", { host: "host", tcUrl: "rtmp://host/live" }],
    ["rtmp://host/live/instance/a", { app: "live/instance", streamKey: "a" }],
    ["rtmp://host/live/instance/a/b?sign=x/y", { app: "live/instance", streamKey: "a/b?sign=x/y" }],
    ["rtmp://host/a", { app: "", streamKey: "a" }],
  ])("splits %s", (url, expected) => {
    expect(parseRtmpUrl(url)).toMatchObject(expected);
  });

  it.each(["", "nothing", "http://host/live/a", "rtmp://host", "rtmp://host/", "rtmp://host/live/", "rtmp:///live/a"])(
    "gives null for %j",
    (url) => {
      expect(parseRtmpUrl(url)).toBeNull();
    },
  );
});
