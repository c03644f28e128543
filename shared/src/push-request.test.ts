import { describe, expect, it } from "vitest";
import { RoomcastError } from "./errors.ts";
import { pushRequestSchema, renditionHeight, taskUpdateSchema } from "./push-request.ts";
import { seatOf } from "./seat.ts";
import { validate } from "./validate.ts";

const REQUIRED = {
  VideoSrc: "https://media.example.com/clip.mp4",
  SdkAppId: 1400000001,
  RoomId: 42,
  UserId: "teacher-1",
  UserSig: "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwiWp",
};
const REDIS = { Redis: true, RedisHost: "10.0.0.7", RedisPort: 6379, RedisPassword: "hunter2-hunter2" };

function failure(body: unknown): RoomcastError {
  try {
    validate(pushRequestSchema, body);
  } catch (error) {
    if (error instanceof RoomcastError) return error;
  }
  throw new Error("expected a RoomcastError");
}

const without = (body: Record<string, unknown>, name: string) =>
  Object.fromEntries(Object.entries(body).filter(([key]) => key !== name));

describe("Push request", () => {
  it("needs five parameters; the others have their defaults", () => {
    expect(validate(pushRequestSchema, REQUIRED)).toEqual({ ...REQUIRED, Mode: "vod", Redis: false });
  });

  it("takes every parameter of the cloud function, and Region", () => {
    const full = { ...REQUIRED, ...REDIS, StrRoomId: "class_1", Mode: "live", Region: "ap-guangzhou" };
    expect(validate(pushRequestSchema, full)).toEqual(full);
  });

  it("is unchanged when it is checked a second time, as the worker does", () => {
    const once = validate(pushRequestSchema, { ...REQUIRED, ...REDIS });
    expect(validate(pushRequestSchema, structuredClone(once))).toEqual(once);
  });

  it("uses RoomId when StrRoomId is given too", () => {
    const request = validate(pushRequestSchema, { ...REQUIRED, StrRoomId: "class_1" });
    expect(seatOf(request).room).toEqual({ kind: "number", id: 42 });
  });

  it.each(["VideoSrc", "SdkAppId", "RoomId", "UserId", "UserSig"])("without %s is refused", (name) => {
    const error = failure(without(REQUIRED, name));
    expect(error.code).toBe("MissingParameter");
    expect(error.fields).toMatchObject([{ field: name, problem: "missing" }]);
  });

  it("without RedisHost is refused when Redis is true", () => {
    const error = failure(without({ ...REQUIRED, ...REDIS }, "RedisHost"));
    expect(error.code).toBe("MissingParameter");
    expect(error.fields).toMatchObject([{ field: "RedisHost", problem: "missing" }]);
    expect(error.message).toContain("because Redis is true");
  });

  it("needs neither RedisPort nor RedisPassword when Redis is true", () => {
    const request = { ...REQUIRED, Redis: true, RedisHost: "10.0.0.7" };
    expect(validate(pushRequestSchema, request)).toEqual({ ...request, Mode: "vod" });
  });

  it.each<[string, object]>([
    ["RedisPort", { RedisHost: "rediss://r.example:6380", RedisPort: 6379 }],
    ["RedisTls", { RedisHost: "rediss://r.example", RedisTls: false }],
  ])("is refused where %s contradicts the URL in RedisHost", (field, redis) => {
    expect(failure({ ...REQUIRED, Redis: true, ...redis }).fields).toMatchObject([{ field, problem: "invalid" }]);
  });

  it("needs no Redis parameters when Redis is false", () => {
    expect(validate(pushRequestSchema, { ...REQUIRED, Redis: false }).RedisHost).toBeUndefined();
  });

  it.each<[string, unknown[]]>([
    [
      "VideoSrc",
      [
        "https://h/v.mp4",
        "http://h:8080/v.mp4?a=b#c",
        "rtmp://h/live/key",
        "rtmps://u:p@h/live/key",
        "srt://h:9000?streamid=%23!::r=live/a&passphrase=0123456789",
        "srt://[2001:db8::1]:9000",
        "HTTPS://H/V.MP4",
        "http://[2001:db8::1]/v",
        "https://h/视频.mp4",
        `https://h/${"x".repeat(2038)}`,
      ],
    ],
    ["SdkAppId", [1, 4_294_967_295]],
    ["RoomId", [1, 4_294_967_294]],
    ["StrRoomId", ["a", "A_9", "x".repeat(64)]],
    ["Mode", ["vod", "live"]],
    ["UserId", ["a", "A-9_z", "x".repeat(32)]],
    ["UserSig", ["x", "x".repeat(4096)]],
    ["Redis", [false]],
    [
      "RedisHost",
      [
        "redis",
        "10.0.0.7",
        "::1",
        "r.example.com",
        "rediss://r.example.com",
        "rediss://r:6380",
        "rediss://[::1]:6380/",
      ],
    ],
    ["RedisPort", [1, 65_535]],
    ["RedisPassword", ["", "x".repeat(512)]],
    ["RedisUser", ["default", "a:b@c", "x".repeat(128)]],
    ["RedisTls", [true, false]],
    ["RedisDb", [0, 15, 65_535]],
    ["AudioTrack", ["en", "eng", "zh-CN", "zh-Hans-CN", "EN-us", 1, 100]],
    ["Rendition", ["720p", "1080P", "64p", "4320p"]],
    ["OnItemError", ["skip", "fail"]],
    ["Region", ["ap-guangzhou"]],
  ])("takes %s at its bounds", (name, values) => {
    for (const value of values) {
      expect(validate(pushRequestSchema, { ...REQUIRED, [name]: value })).toMatchObject({ [name]: value });
    }
  });

  const secret = "s3cr3t-s3cr3t";
  it.each<[string, unknown[]]>([
    [
      "VideoSrc",
      [
        "srt://s3cr3t-s3cr3t",
        "",
        secret,
        "/v.mp4",
        "https://",
        "https:h/v.mp4",
        "https:/h/v.mp4",
        "https:\\\\h\\v.mp4",
        "https://h\\@evil/v.mp4",
        " https://h/v.mp4",
        "https://h/v.mp4\n",
        "https://h/a b.mp4",
        "htt\tps://h/v.mp4",
        "https://h/\u0000",
        "file:///etc/passwd",
        "ftp://h/v.mp4",
        "data:video/mp4;base64,AAAA",
        "concat:http://h/a|http://h/b",
        `https://h/${"x".repeat(2039)}`,
        42,
        [],
        Array.from({ length: 101 }, () => "https://h/v.mp4"),
      ],
    ],
    ["SdkAppId", [0, -1, 1.5, 4_294_967_296, "1400000001", true]],
    ["RoomId", [0, -1, 1.5, 4_294_967_295, "42", {}]],
    ["StrRoomId", ["", "a-b", "a b", "课", "x".repeat(65), 42]],
    ["Mode", ["", "VOD", "file", 1]],
    ["UserId", ["", "a b", "a/b", "a\n", "x".repeat(33), 7]],
    ["UserSig", ["", "x".repeat(4097), 7, { secret }]],
    ["Redis", ["true", 1, 0]],
    [
      "RedisHost",
      [
        "",
        "redis://h",
        "rediss://",
        "rediss://u@h",
        `rediss://:${secret}@h`,
        "rediss://h:0",
        "rediss://h:65536",
        "rediss://h/1",
        "rediss://h?a=b",
        "h/0",
        "u@h",
        "x".repeat(254),
        7,
      ],
    ],
    ["RedisPort", [0, 65_536, 1.5, "6379"]],
    ["RedisPassword", ["x".repeat(513), 7]],
    ["RedisUser", ["", "a b", "a\n", "x".repeat(129), 7]],
    ["RedisTls", ["true", "rediss://h", 1]],
    ["RedisDb", [-1, 65_536, 1.5, "0"]],
    ["AudioTrack", ["", "e", "english", "en_US", "en-", "2", 0, -1, 1.5, 101, ["en"], { secret }]],
    ["Rendition", ["", "p", "720", 720, "63p", "4321p", "0720p", "720p60", "-720p", "1280x720", " 720p"]],
    ["OnItemError", ["", "ignore", true]],
    ["Region", ["", "guangzhou", "AP-GUANGZHOU", 7]],
    ["SeekSecond", [-1, 1.5, "10"]],
    ["RepeatNum", [0, -2, 1001, 1.5]],
    ["MaxDuration", [0, 10_081]],
    ["Volume", [-1, 201, "100"]],
    ["Tempo", [0, 0.6, 2.5, "1"]],
    ["IdleTimeout", [-1, 601]],
    ["PrivateMapKey", ["", 7]],
    ["Preload", ["https://h/v.mp4", Array.from({ length: 5 }, () => "https://h/v.mp4")]],
    ["StartAt", ["now", "2026-12-31", "2026-12-31T20:15:00", 1_798_000_000]],
    ["OnConflict", ["", "fight"]],
    ["ExecutionTimeout", [0, 604_801, 1.5, "60"]],
  ])("refuses a wrong %s, alone and by its name", (name, values) => {
    for (const value of [...values, null]) {
      const error = failure({ ...REQUIRED, [name]: value });
      expect([value, error.code]).toEqual([value, "InvalidParameterValue"]);
      expect(error.fields).toMatchObject([{ field: name, problem: "invalid" }]);
      expect(error.message).not.toContain(secret);
    }
  });

  it("says of each number, and of true and false, that it must be written without quotes", () => {
    const texts = {
      SdkAppId: "1400000001",
      RoomId: "42",
      Redis: "true",
      RedisPort: "6379",
      RedisTls: "false",
      SeekSecond: "10",
      RepeatNum: "-1",
      Tempo: "1.5",
      AudioTrack: "2",
    };
    const { fields, message } = failure({ ...REQUIRED, RedisHost: "redis", ...texts });
    expect(fields.map(({ field }) => field).toSorted()).toEqual(Object.keys(texts).toSorted());
    for (const { expected } of fields) expect(expected).toContain("not a text: write it without quotes");
    for (const value of ["1400000001", "6379"]) expect(message).not.toContain(value);
  });

  it.each([0, -2, 1001, 1.5, {}])("says the same of every wrong RepeatNum, as of %j", (RepeatNum) => {
    expect(failure({ ...REQUIRED, RepeatNum }).message).toBe(
      "RepeatNum is invalid: expected an integer from 1 to 1000, or -1 to repeat without end.",
    );
  });

  it("reports all that is wrong in one answer, and never repeats a value", () => {
    const wrong = {
      VideoSrc: `ftp://u:${secret}@h/`,
      SdkAppId: secret,
      StrRoomId: `${secret}!`,
      Mode: secret,
      UserId: `${secret} `,
      UserSig: { secret },
      Redis: true,
      RedisHost: `${secret}/`,
      RedisPort: secret,
      Region: secret,
      Volume: secret,
    };
    const error = failure(wrong);
    expect(error.code).toBe("InvalidParameterValue");
    expect(error.fields.map((field) => field.field).toSorted()).toEqual(
      Object.keys(wrong)
        .filter((name) => name !== "Redis")
        .toSorted(),
    );
    expect(JSON.stringify([error.message, error.fields])).not.toContain(secret);
  });

  it("reports a missing room even when everything else is wrong", () => {
    expect(failure({ VideoSrc: 1 }).fields.map((field) => field.field)).toEqual(
      expect.arrayContaining(["VideoSrc", "SdkAppId", "RoomId", "UserId", "UserSig"]),
    );
  });

  it.each([null, [], "text", 7])("cannot be %j", (body) => {
    expect(failure(body).message).toBe("(body) is invalid: expected a JSON object.");
  });
});

describe("Stream parameters", () => {
  it("are taken as TRTC's StartStreamIngest names them, with nothing filled in", () => {
    const given = {
      VideoSrc: ["https://h/a.mp4", "https://h/b.mp4"],
      SeekSecond: 10,
      RepeatNum: -1,
      MaxDuration: 60,
      Volume: 200,
      Tempo: 1.25,
      IdleTimeout: 0,
      VideoEncodeParams: { Width: 1280, Height: 720, Fps: 25, BitRate: 1500, Gop: 2 },
      AudioEncodeParams: { SampleRate: 44_100, Channel: 1, BitRate: 64, Volume: 300 },
      PrivateMapKey: "key",
      Preload: ["https://h/c.mp4"],
      StartAt: "2026-12-31T20:15:00+08:00",
      OnConflict: "reject",
      ExecutionTimeout: 604_800,
      AudioTrack: "zh-CN",
      Rendition: "720p",
      OnItemError: "fail",
    };
    expect(validate(pushRequestSchema, { ...REQUIRED, ...given })).toMatchObject(given);
    expect(Object.keys(validate(pushRequestSchema, REQUIRED)).toSorted()).toEqual(
      [...Object.keys(REQUIRED), "Mode", "Redis"].toSorted(),
    );
  });

  it("name the field inside an object or a list that is wrong", () => {
    const error = failure({
      ...REQUIRED,
      VideoEncodeParams: { Width: 1921, Height: 0, Fps: 61, BitRate: 0, Gop: 3, Codec: "h265" },
      AudioEncodeParams: { SampleRate: 22_050, Channel: 6, BitRate: 7, Volume: 301 },
      VideoSrc: ["https://h/a.mp4", "ftp://h/b.mp4"],
    });
    expect(error.fields.map(({ field, problem }) => `${field} ${problem}`).toSorted()).toEqual(
      [
        "AudioEncodeParams.BitRate invalid",
        "AudioEncodeParams.Channel invalid",
        "AudioEncodeParams.SampleRate invalid",
        "AudioEncodeParams.Volume invalid",
        "VideoEncodeParams.BitRate invalid",
        "VideoEncodeParams.Codec unknown",
        "VideoEncodeParams.Fps invalid",
        "VideoEncodeParams.Gop invalid",
        "VideoEncodeParams.Height invalid",
        "VideoEncodeParams.Width invalid",
        "VideoSrc.1 invalid",
      ].toSorted(),
    );
  });
});

describe("Rendition", () => {
  it.each([
    ["720p", 720],
    ["1080P", 1080],
  ])("of %s has at most %i lines", (rendition, lines) => {
    expect(renditionHeight(rendition)).toBe(lines);
  });
});

describe("Change of a running push", () => {
  it("changes at least one thing, each within the bounds of a request", () => {
    expect(validate(taskUpdateSchema, { SeekSecond: 1.5, IsPause: false })).toEqual({
      SeekSecond: 1.5,
      IsPause: false,
    });
    expect(() => validate(taskUpdateSchema, {})).toThrow("at least one of VideoSrc");
    expect(validate(taskUpdateSchema, { AudioTrack: 2 })).toEqual({ AudioTrack: 2 });
    expect(validate(taskUpdateSchema, { Rendition: "480p" })).toEqual({ Rendition: "480p" });
    expect(() => validate(taskUpdateSchema, { Volume: 201 })).toThrow("Volume");
    expect(() => validate(taskUpdateSchema, { Rendition: "low" })).toThrow("Rendition is invalid");
    expect(() => validate(taskUpdateSchema, { UserId: "other" })).toThrow("UserId is not a known parameter");
    expect(() => validate(taskUpdateSchema, { UserId: "other", Volume: 20 })).toThrow(
      expect.objectContaining({
        code: "UnknownParameter",
        fields: [{ field: "UserId", problem: "unknown", expected: "no such field" }],
      }),
    );
  });
});
