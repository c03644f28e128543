import { describe, expect, it } from "vitest";
import { RoomcastError } from "./errors.ts";
import { pushRequestSchema } from "./push-request.ts";
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

describe("a push request", () => {
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

  it("uses RoomId where StrRoomId is given too", () => {
    const request = validate(pushRequestSchema, { ...REQUIRED, StrRoomId: "class_1" });
    expect(seatOf(request).room).toEqual({ kind: "number", id: 42 });
  });

  it.each(["VideoSrc", "SdkAppId", "RoomId", "UserId", "UserSig"])("without %s is refused", (name) => {
    const error = failure(without(REQUIRED, name));
    expect(error.code).toBe("MissingParameter");
    expect(error.fields).toMatchObject([{ field: name, problem: "missing" }]);
  });

  it.each(["RedisHost", "RedisPort", "RedisPassword"])("without %s is refused when Redis is true", (name) => {
    const error = failure(without({ ...REQUIRED, ...REDIS }, name));
    expect(error.code).toBe("MissingParameter");
    expect(error.fields).toMatchObject([{ field: name, problem: "missing" }]);
    expect(error.message).toContain("because Redis is true");
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
    ["RedisHost", ["redis", "10.0.0.7", "::1", "r.example.com"]],
    ["RedisPort", [1, 65_535]],
    ["RedisPassword", ["", "x".repeat(512)]],
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
        ["https://h/v.mp4"],
      ],
    ],
    ["SdkAppId", [0, -1, 1.5, 4_294_967_296, "1400000001", true]],
    ["RoomId", [0, -1, 1.5, 4_294_967_295, "42", {}]],
    ["StrRoomId", ["", "a-b", "a b", "课", "x".repeat(65), 42]],
    ["Mode", ["", "VOD", "file", 1]],
    ["UserId", ["", "a b", "a/b", "a\n", "x".repeat(33), 7]],
    ["UserSig", ["", "x".repeat(4097), 7, { secret }]],
    ["Redis", ["true", 1, 0]],
    ["RedisHost", ["", "redis://h", "h/0", "u@h", "x".repeat(254), 7]],
    ["RedisPort", [0, 65_536, 1.5, "6379"]],
    ["RedisPassword", ["x".repeat(513), 7]],
    ["Region", ["", "guangzhou", "AP-GUANGZHOU", 7]],
  ])("refuses a wrong %s, alone and by its name", (name, values) => {
    for (const value of [...values, null]) {
      const error = failure({ ...REQUIRED, [name]: value });
      expect([value, error.code]).toEqual([value, "InvalidParameterValue"]);
      expect(error.fields).toMatchObject([{ field: name, problem: "invalid" }]);
      expect(error.message).not.toContain(secret);
    }
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
      [...Object.keys(wrong).filter((name) => name !== "Redis"), "RedisPassword"].toSorted(),
    );
    expect(JSON.stringify([error.message, error.fields])).not.toContain(secret);
  });

  it("tells of a missing room even when everything else is wrong", () => {
    expect(failure({ VideoSrc: 1 }).fields.map((field) => field.field)).toEqual(
      expect.arrayContaining(["VideoSrc", "SdkAppId", "RoomId", "UserId", "UserSig"]),
    );
  });

  it.each([null, [], "text", 7])("cannot be %j", (body) => {
    expect(failure(body).message).toBe("(body) is invalid: expected a JSON object.");
  });
});
