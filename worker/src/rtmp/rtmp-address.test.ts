import { describe, expect, it } from "vitest";
import { parseRtmpUrl, rtmpAddresses, shownStream } from "./rtmp-address.ts";

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
    ["RTMP://Example.com/Live/A", { host: "Example.com", app: "Live", streamKey: "A" }],
    ["rtmp://[::1]:1936/live/a", { host: "::1", port: 1936, tcUrl: "rtmp://[::1]:1936/live" }],
    ["rtmp://user:secret@host/live/a", { host: "host", tcUrl: "rtmp://host/live" }],
    ["rtmp://host/live/instance/a", { app: "live/instance", streamKey: "a" }],
    ["rtmp://host/live/instance/a?q=1", { app: "live/instance", streamKey: "a?q=1" }],
    ["rtmp://host/live/_definst_/a", { app: "live/_definst_", streamKey: "a", tcUrl: "rtmp://host/live/_definst_" }],
    ["rtmp://host/live/instance/a/b?sign=x/y", { app: "live/instance", streamKey: "a/b?sign=x/y" }],
    ["rtmp://host/a/b/c/d", { app: "a/b", streamKey: "c/d" }],
    ["rtmp://host/live/a?sign=x/y", { app: "live", streamKey: "a?sign=x/y" }],
    [
      "rtmp://host/live?vhost=a.com&token=b/x",
      { app: "live?vhost=a.com&token=b", streamKey: "x", tcUrl: "rtmp://host/live?vhost=a.com&token=b" },
    ],
    ["rtmp://host/live?vhost=a.com/x?sign=b/c", { app: "live?vhost=a.com", streamKey: "x?sign=b/c" }],
    ["rtmp://host/live?token=a/b/x", { app: "live?token=a/b", streamKey: "x" }],
    ["rtmp://host/vod/mp4:dir/sub/f.mp4", { app: "vod", streamKey: "mp4:dir/sub/f.mp4" }],
    ["rtmp://host/vod/inst/mp4:dir/f.mp4?t=1:2", { app: "vod/inst", streamKey: "mp4:dir/f.mp4?t=1:2" }],
    ["rtmp://host/vod/flv:dir/f", { app: "vod", streamKey: "flv:dir/f" }],
    ["rtmp://host/vod/mp3:song", { app: "vod", streamKey: "mp3:song" }],
    ["rtmp://host/ondemand/dir/f", { app: "ondemand", streamKey: "dir/f" }],
    ["rtmp://host/live/a/", { app: "live", streamKey: "a" }],
    ["rtmp://host/live/", { app: "live", streamKey: "" }],
    ["rtmp://host/live", { app: "live", streamKey: "" }],
    ["rtmp://host/live?vhost=a.com", { app: "live?vhost=a.com", streamKey: "" }],
    ["rtmp://host/live/%E6%88%BF%20a/../b", { app: "live/%E6%88%BF%20a", streamKey: "../b" }],
    ["rtmp://host/live/房 间#1", { app: "live", streamKey: "房 间#1" }],
    ["  rtmp://host/live/a\n", { app: "live", streamKey: "a" }],
  ])("splits %j", (url, expected) => {
    expect(parseRtmpUrl(url)).toMatchObject(expected);
  });

  it.each([
    "",
    "nothing",
    "http://host/live/a",
    "rtmp://host",
    "rtmp://host/",
    "rtmp://host//a",
    "rtmp:///live/a",
    "rtmp://host/live/a\r\nb",
    "rtmp://host/?a/b",
  ])("returns null for %j", (url) => {
    expect(parseRtmpUrl(url)).toBeNull();
  });
});

describe("rtmpAddresses", () => {
  it.each([
    ["rtmp://h/live/a", [["live", "a"]]],
    [
      "rtmp://h/live/inst/a?q",
      [
        ["live/inst", "a?q"],
        ["live", "inst/a?q"],
      ],
    ],
    [
      "rtmp://h/a/b/c/d",
      [
        ["a/b", "c/d"],
        ["a/b/c", "d"],
        ["a", "b/c/d"],
      ],
    ],
    [
      "rtmp://h/vod/f.mp4?t=1",
      [
        ["vod", "f.mp4?t=1"],
        ["vod", "mp4:f.mp4?t=1"],
      ],
    ],
    [
      "rtmp://h/vod/f.flv",
      [
        ["vod", "f.flv"],
        ["vod", "f"],
      ],
    ],
    [
      "rtmp://h/live/a?sign=b/c",
      [
        ["live", "a?sign=b/c"],
        ["live/a?sign=b", "c"],
      ],
    ],
    [
      "rtmp://h/live",
      [
        ["live", ""],
        ["", "live"],
      ],
    ],
    [
      "rtmp://h/live/a/",
      [
        ["live", "a"],
        ["live/a", ""],
      ],
    ],
    ["rtmp://h/live?token=t/a", [["live?token=t", "a"]]],
  ])("returns the ways to split %s, the most likely first", (url, expected) => {
    expect(rtmpAddresses(url).map(({ app, streamKey }) => [app, streamKey])).toEqual(expected);
  });
});

describe("shownStream", () => {
  it.each([
    ["rtmp://h/live?vhost=a.com&token=S3CRET/x?sign=S3CRET", 'app "live?…", stream "x?…"'],
    ["rtmp://h/vod/mp4:dir/sub/f.mp4", 'app "vod", stream "mp4:dir/sub/f.mp4"'],
    ["rtmp://h/live/0123-S3CRET-4567", 'app "live", stream "…"'],
    ["rtmp://user:S3CRET@h/live", 'app "live", stream ""'],
  ])("shows app and stream of %s without a secret", (url, expected) => {
    const address = parseRtmpUrl(url);
    expect(address && shownStream(address)).toBe(expected);
  });
});
