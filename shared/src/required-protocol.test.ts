import { expect, test } from "vitest";
import { pushRequestSchema } from "./push-request.ts";
import { shownRequest } from "./redact.ts";
import { requestForWorker, requiredProtocol } from "./required-protocol.ts";

const REQUEST = {
  VideoSrc: "https://media.example/lesson.mp4",
  SdkAppId: 1_400_000_001,
  StrRoomId: "math",
  UserId: "teacher",
  UserSig: "sig",
};

test.each<[string, object, number]>([
  ["what the first version knew", {}, 1],
  ["its Redis and its region", { Redis: true, RedisHost: "r", RedisPort: 1, RedisPassword: "", Region: "ap-one" }, 1],
  ["what only the edge acts on", { OnConflict: "reject", QueueTimeout: 5 }, 1],
  ["a playlist", { VideoSrc: ["https://media.example/1.mp4"] }, 2],
  ["an SRT source", { VideoSrc: "srt://media.example:9000?streamid=a" }, 2],
  ["a volume", { Volume: 50 }, 2],
  ["a time to start", { StartAt: "2026-12-31T20:15:00+08:00" }, 2],
])("a request with %s can be carried by workers of the right protocol", (_what, rest, protocol) => {
  const request = pushRequestSchema.parse({ ...REQUEST, ...rest });
  expect(requiredProtocol(request)).toBe(protocol);
  expect(requiredProtocol(shownRequest(request))).toBe(protocol);
});

test("a worker gets no parameter that is only for the edge, and every other one as it was", () => {
  const request = pushRequestSchema.parse({ ...REQUEST, Volume: 50, OnConflict: "replace", QueueTimeout: 5 });
  expect(requestForWorker(request)).toEqual({ ...REQUEST, Mode: "vod", Redis: false, Volume: 50 });
});
