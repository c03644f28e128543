import { describe, expect, it } from "vitest";
import { type PushRequest, pushRequestSchema } from "./push-request.ts";
import { REDACTED, SECRET_FIELDS, secretsOf, shownOrigin, shownRequest, shownText, shownUrl } from "./redact.ts";

function request(over: Partial<PushRequest> = {}): PushRequest {
  return pushRequestSchema.parse({
    VideoSrc: "https://media.example.com/clip.mp4",
    SdkAppId: 1400000001,
    RoomId: 42,
    UserId: "teacher-1",
    UserSig: "eJw*USERSIG-USERSIG__",
    ...over,
  });
}

describe("shownUrl", () => {
  it.each<[string, string]>([
    ["https://h.example/v.mp4", "https://h.example/v.mp4"],
    ["https://h.example:8443/a/v.mp4?sig=S3CRET", "https://h.example:8443/a/v.mp4?…"],
    ["https://user:S3CRET@h.example/v.mp4#S3CRET", "https://h.example/v.mp4"],
    ["HTTPS://S3CRET:S3CRET@H.EXAMPLE/V.MP4?S3CRET", "https://h.example/V.MP4?…"],
    ["http://u:S3CRET@[2001:db8::1]:8080/v?k=S3CRET", "http://[2001:db8::1]:8080/v?…"],
    ["rtmp://h/live/S3CRET", "rtmp://h/live/…"],
    ["rtmp://h/live/S3CRET/", "rtmp://h/live/…"],
    ["rtmps://u:S3CRET@h/live/S3CRET/S3CRET", "rtmps://h/live/…"],
    ["rtmp://h/S3CRET", "rtmp://h/…"],
    ["rtmp://h/", "rtmp://h/"],
    ["srt://h:9000?streamid=S3CRET&passphrase=S3CRET", "srt://h:9000?…"],
    ["rtmp://rtmp.rtc.qq.com/push/S3CRET?sdkappid=1&usersig=S3CRET", "rtmp://rtmp.rtc.qq.com/push/…?…"],
    ["redis://:S3CRET@10.0.0.7:6379/0", "redis://10.0.0.7:6379/0"],
    ["https://proxy/a/https://u:S3CRET@h/v", "https://proxy/a/…"],
    ["file:///srv/v.mp4", "file:///srv/v.mp4"],
    ["S3CRET", REDACTED],
    ["", REDACTED],
    ["data:text/plain,S3CRET", REDACTED],
    ["https://u:S3CRET@/v", REDACTED],
  ])("of %s is %s", (url, shown) => {
    expect(shownUrl(url)).toBe(shown);
    expect(shownUrl(shown)).toBe(shown);
  });
});

describe("shownOrigin", () => {
  it.each([
    ["https://u:S3CRET@hooks.example:8443/services/S3CRET?token=S3CRET#S3CRET", "https://hooks.example:8443"],
    ["https://hooks.example", "https://hooks.example"],
    ["S3CRET", REDACTED],
    ["data:text/plain,S3CRET", REDACTED],
  ])("of %s is %s", (url, shown) => {
    expect(shownOrigin(url)).toBe(shown);
    expect(shownOrigin(shown)).toBe(shown);
  });

  it("is all that a shown request tells of where its events go", () => {
    const callback = { CallbackUrl: "https://hooks.example/services/S3CRET", CallbackKey: "S3CRET" };
    expect(JSON.stringify(shownRequest(request(callback)))).not.toContain("S3CRET");
  });
});

describe("shownText", () => {
  it("makes foreign text printable without losing a secret that has unprintable characters", () => {
    const text =
      "\u001b[31mNetStream.Failed\r\n\u202eforged: https://u:S3C\u001bRET@h.example/v?s=S3C\u0085RET a\u009bkey";
    const shown = shownText(text, ["a\u009bkey"]);
    expect(shown).toBe(`\u{FFFD}[31mNetStream.Failed \n\u{FFFD}forged: https://h.example/v?… ${REDACTED}`);
    expect(shownText(shown, ["a\u009bkey"])).toBe(shown);
  });

  it("redacts an assignment as far as before although it has unprintable characters", () => {
    for (const text of ["token=S3C\u001bRET", "password\r=\tS3CRET", "Cookie: a=S3CRET\rS3CRET"]) {
      const shown = shownText(text);
      expect(shown).not.toMatch(/S3C|RET/);
      expect(shownText(shown)).toBe(shown);
    }
  });

  it.each<[string, string]>([
    ["Opening 'https://u:S3CRET@h/v.m3u8?k=S3CRET' for reading", "Opening 'https://h/v.m3u8?…' for reading"],
    ["https://h/v.mp4?k=S3CRET: Server returned 404 Not Found", "https://h/v.mp4?…: Server returned 404 Not Found"],
    ["https://h/v.mp4: Invalid data", "https://h/v.mp4: Invalid data"],
    ["[tcp @ 0x55] Connection to tcp://10.0.0.7:80 failed", "[tcp @ 0x55] Connection to tcp://10.0.0.7:80 failed"],
    [
      "a https://h/1?S3CRET b (HTTP://U:S3CRET@H/2) c rtmp://h/live/S3CRET.",
      "a https://h/1?… b (http://h/2) c rtmp://h/live/….",
    ],
    ["https://h/1,https://u:S3CRET@h/2?S3CRET", "https://h/…?…"],
    ["concat:http://u:S3CRET@h/1|http://h/2?S3CRET", "concat:http://h/…?…"],
    ["crypto+https://u:S3CRET@h/1?k=S3CRET", `crypto+https://h/1?…`],
    ["http://u:S3CRET@[::1]:80/v?S3CRET", "http://[::1]/v?…"],
    [
      "NetStream.Publish.BadName: push/42?sdkappid=1&usersig=S3CRET&x=1",
      `NetStream.Publish.BadName: push/42?sdkappid=1&usersig=${REDACTED}&x=1`,
    ],
    ["Authorization: Bearer S3CRET.S3CRET", `Authorization: ${REDACTED}`],
    [
      "authorization: TC3-HMAC-SHA256 Credential=S3CRET/a, SignedHeaders=b, Signature=S3CRET\nHost: h",
      `authorization: ${REDACTED}\nHost: h`,
    ],
    ["-headers 'Authorization: Basic S3CRET==' -i x", `-headers 'Authorization: ${REDACTED}' -i x`],
    ["Set-Cookie: a=S3CRET; b=S3CRET", `Set-Cookie: ${REDACTED}`],
    ["token was Bearer S3CRETS3CRET here", `token was Bearer ${REDACTED} here`],
    ["X-TC-Token: S3CRET", `X-TC-Token: ${REDACTED}`],
    ["password = 'S3CRET S3CRET' port = 1", `password = '${REDACTED}' port = 1`],
    ["SecretKey=S3CRET;SecretId=AKID", `SecretKey=${REDACTED};SecretId=AKID`],
    ["secret_access_key=S3CRET", `secret_access_key=${REDACTED}`],
    ['{"UserSig":"S3CRET, S3CRET","RoomId":1}', `{"UserSig":"${REDACTED}","RoomId":1}`],
    ['{"RedisPassword": "S3\\"CRET","a":"b"}', `{"RedisPassword": "${REDACTED}","a":"b"}`],
    ['{"PrivateMapKey":"S3CRET"}', `{"PrivateMapKey":"${REDACTED}"}`],
    ['{"authorization":"Bearer S3CRET.S3CRET","a":1}', `{"authorization":"${REDACTED}","a":1}`],
    ['"{\\"UserSig\\":\\"S3CRET S3CRET\\",\\"a\\":1}"', `"{\\"UserSig\\":\\"${REDACTED}\\",\\"a\\":1}"`],
    [
      "frame=  100 fps= 30 q=-1.0 size= 512kB time=00:00:03.33 bitrate=1258.3kbits/s",
      "frame=  100 fps= 30 q=-1.0 size= 512kB time=00:00:03.33 bitrate=1258.3kbits/s",
    ],
    ["nothing to hide, 16:9, a://", `nothing to hide, 16:9, ${REDACTED}`],
  ])("makes of %s: %s", (text, shown) => {
    expect(shownText(text)).toBe(shown);
    expect(shownText(shown)).toBe(shown);
    expect(shown).not.toContain("S3CRET");
  });

  const secret = 'p@ss w*rd/+&"ü';
  it.each<[string, string]>([
    ["as it is", secret],
    ["percent-encoded", encodeURIComponent(secret)],
    ["percent-encoded in lower case", encodeURIComponent(secret).replace(/%../g, (hex) => hex.toLowerCase())],
    ["percent-encoded to the last mark", encodeURIComponent(secret).replaceAll("*", "%2A")],
    ["form-encoded", new URLSearchParams({ k: secret }).toString().slice(2)],
    ["as a URL's path writes it", encodeURI(secret)],
    ["in JSON", JSON.stringify(secret)],
  ])("cuts out a known secret %s", (_how, written) => {
    const shown = shownText(`AUTH ${written} was refused`, [secret]);
    expect(shown).toMatch(/^AUTH "?\[redacted\]"? was refused$/);
  });

  it("cuts out the longest secret first, so that none leaves a rest of another", () => {
    expect(shownText("key abcd1234", ["abcd", "abcd1234"])).toBe(`key ${REDACTED}`);
  });

  it("takes a secret for text, not for a pattern", () => {
    expect(shownText("a.c+ abc ", ["a.c+"])).toBe(`${REDACTED} abc `);
  });

  it("leaves words alone that a very short secret, or its own mark, would blank", () => {
    expect(shownText("the key is redacted", ["", "k", "the", "redacted"])).toBe("the key is redacted");
  });

  it.each<[string, string]>([
    ["one word", "a".repeat(1 << 20)],
    ["many words", "a ".repeat(1 << 19)],
    ["dots", "a.".repeat(1 << 19)],
    ["almost schemes", "a:/".repeat(350_000)],
    ["schemes", "a://".repeat(1 << 18)],
    ["colons", `x://y/${":".repeat(1 << 20)}`],
    ["colons before a letter", `x://y/${":".repeat(1 << 20)}z`],
    ["spaces after a name", `token${" ".repeat(1 << 20)}`],
    ["names", "token".repeat(200_000)],
    ["names with quotes", 'token"'.repeat(170_000)],
    ["open quotes", 'token="'.repeat(150_000)],
    ["open escaped quotes", 'token=\\"'.repeat(130_000)],
    ["backslashes", `token="${"\\".repeat(1 << 20)}`],
    ["headers", "authorization: ".repeat(70_000)],
    ["percent signs", "%".repeat(1 << 20)],
  ])("takes a megabyte of %s in its stride", (_what, text) => {
    // A quadratic pattern would need minutes here and meet the test's time limit.
    expect(typeof shownText(text, ["abcd%2F/", "zzzz zzzz"])).toBe("string");
  });
});

describe("shownRequest", () => {
  it("has all of a request but its secrets", () => {
    const whole = request({ Redis: true, RedisHost: "r", RedisPort: 6379, RedisPassword: "hunter2-hunter2" });
    expect(shownRequest({ ...whole, VideoSrc: "https://u:p@h/v?k=1" })).toEqual({
      VideoSrc: "https://h/v?…",
      SdkAppId: 1400000001,
      RoomId: 42,
      Mode: "vod",
      UserId: "teacher-1",
      Redis: true,
      RedisHost: "r",
      RedisPort: 6379,
    });
  });

  it.each(SECRET_FIELDS)("never has %s, known to this version or not", (name) => {
    expect(shownRequest({ ...request(), [name]: "S3CRET-S3CRET" })).not.toHaveProperty(name);
  });
});

describe("secretsOf", () => {
  it("lets shownText cut out all that a request hides, wherever it stands", () => {
    const whole = request({
      VideoSrc: "https://alice%21:pa%20ss@h/v?sig=a%2Fb%2Fc&expires=1234567#frag-ment",
      Redis: true,
      RedisHost: "r",
      RedisPort: 6379,
      RedisPassword: "hunter2-hunter2",
    });
    const secrets = secretsOf(Object.assign(whole, { PrivateMapKey: "map-key-map-key" }));
    for (const secret of [
      "eJw*USERSIG-USERSIG__",
      "eJw%2AUSERSIG-USERSIG__",
      "hunter2-hunter2",
      "map-key-map-key",
      "alice%21",
      "alice!",
      "pa%20ss",
      "pa ss",
      "a%2Fb%2Fc",
      "a/b/c",
      "1234567",
      "frag-ment",
      "sig=a%2Fb%2Fc&expires=1234567",
    ]) {
      expect(shownText(`<${secret}>`, secrets)).toBe(`<${REDACTED}>`);
    }
  });

  it("counts an RTMP stream key as a secret, but not a stream's short name", () => {
    expect(secretsOf(request({ VideoSrc: "rtmp://h/live/0123-abcd-4567" }))).toContain("0123-abcd-4567");
    expect(secretsOf(request({ VideoSrc: "rtmp://h/live/stream" }))).not.toContain("stream");
  });

  it("counts an SRT source's streamid and passphrase, encoded or not", () => {
    const VideoSrc = "srt://h:9000?streamid=%23!::r=live/a&passphrase=with%20a%20space";
    expect(secretsOf(request({ VideoSrc }))).toEqual(
      expect.arrayContaining(["%23!::r=live/a", "#!::r=live/a", "with%20a%20space", "with a space"]),
    );
  });

  it("is nothing but the UserSig for a plain request", () => {
    expect(secretsOf(request())).toEqual(["eJw*USERSIG-USERSIG__"]);
  });

  it("takes a query that is not properly encoded as it is", () => {
    expect(secretsOf(request({ VideoSrc: "https://h/v?k=100%25%zz" }))).toContain("100%25%zz");
  });
});
