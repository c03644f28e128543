import { describe, expect, it } from "vitest";
import { pushRequestSchema, taskUpdateSchema } from "./push-request.ts";
import { shownRequest } from "./redact.ts";
import { requestForWorker, requiredProtocol, requiredProtocolOfUpdate } from "./required-protocol.ts";

const REQUEST = {
  VideoSrc: "https://media.example/lesson.mp4",
  SdkAppId: 1_400_000_001,
  StrRoomId: "math",
  UserId: "teacher",
  UserSig: "sig",
};

describe("Required protocol", () => {
  it.each<[string, object, number]>([
    ["what the first version knew", {}, 1],
    ["its Redis and its region", { Redis: true, RedisHost: "r", RedisPort: 1, RedisPassword: "", Region: "ap-one" }, 1],
    ["what only the edge acts on", { OnConflict: "reject", QueueTimeout: 5 }, 1],
    ["a playlist", { VideoSrc: ["https://media.example/1.mp4"] }, 2],
    ["an SRT source", { VideoSrc: "srt://media.example:9000?streamid=a" }, 2],
    ["a volume", { Volume: 50 }, 2],
    ["a time to start", { StartAt: "2026-12-31T20:15:00+08:00" }, 2],
    ["a Redis without port and password", { Redis: true, RedisHost: "r" }, 1],
    ["a Redis by TLS", { Redis: true, RedisHost: "r", RedisTls: true }, 3],
    ["a Redis by a URL", { Redis: true, RedisHost: "rediss://r" }, 3],
    ["a Redis with a user", { Redis: true, RedisHost: "r", RedisUser: "u" }, 3],
    ["a Redis database", { Redis: true, RedisHost: "r", RedisDb: 0 }, 3],
    ["a sound track", { AudioTrack: "en" }, 3],
    ["a rendition", { Rendition: "720p", Volume: 50 }, 3],
    ["what a bad item does", { OnItemError: "skip" }, 3],
  ])("is the right one for a request with %s", (_what, rest, protocol) => {
    const request = pushRequestSchema.parse({ ...REQUEST, ...rest });
    expect(requiredProtocol(request)).toBe(protocol);
    expect(requiredProtocol(shownRequest(request))).toBe(protocol);
  });

  it("leaves parameters out of a worker's request that are only for the edge, and keeps all others unchanged", () => {
    const request = pushRequestSchema.parse({ ...REQUEST, Volume: 50, OnConflict: "replace", QueueTimeout: 5 });
    expect(requestForWorker(request)).toEqual({ ...REQUEST, Mode: "vod", Redis: false, Volume: 50 });
  });

  it("adds to a worker's request the Redis port and password that a worker of the first version requires", () => {
    const redis = { Redis: true, RedisHost: "r" };
    const sent = requestForWorker(pushRequestSchema.parse({ ...REQUEST, ...redis }));
    expect(sent).toEqual({ ...REQUEST, ...redis, Mode: "vod", RedisPort: 6379, RedisPassword: "" });
  });

  it("leaves a worker's request valid by the request schema", () => {
    const redis = { Redis: true, RedisHost: "rediss://r:6380", RedisDb: 1 };
    const sent = requestForWorker(pushRequestSchema.parse({ ...REQUEST, ...redis }));
    expect(pushRequestSchema.parse(sent)).toMatchObject(redis);
  });

  it.each<[string, object, number]>([
    ["a volume", { Volume: 50 }, 2],
    ["another source", { VideoSrc: "https://media.example/2.mp4", SeekSecond: 3 }, 2],
    ["a sound track", { AudioTrack: 1 }, 3],
    ["a rendition", { Rendition: "480p", Volume: 50 }, 3],
  ])("is the right one for a change to %s", (_what, change, protocol) => {
    expect(requiredProtocolOfUpdate(taskUpdateSchema.parse(change))).toBe(protocol);
  });
});
