import { pushRequestSchema, validate } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { pushOf, startStreamIngestSchema } from "./start-stream-ingest.ts";

const LEAST = {
  SdkAppId: 1_400_000_001,
  RoomId: "42",
  UserId: "robot",
  UserSig: "eJw",
  StreamUrl: "https://media.example/lesson.mp4",
};

/** Returns the push request that the plain API would have received for this call. */
function pushed(call: object): object {
  return validate(pushRequestSchema, pushOf(validate(startStreamIngestSchema, { ...LEAST, ...call })));
}

const PUSH = {
  VideoSrc: LEAST.StreamUrl,
  SdkAppId: LEAST.SdkAppId,
  RoomId: 42,
  Mode: "vod",
  UserId: "robot",
  UserSig: "eJw",
  Redis: false,
};

const { RoomId: _room, ...ROOMLESS } = PUSH;

describe("StartStreamIngest", () => {
  it("means an integer room when RoomIdType is missing", () => {
    expect(pushed({})).toEqual(PUSH);
  });

  it.each<[string, object, object]>([
    ["an integer room", { RoomIdType: 1, RoomId: "4294967294" }, { ...PUSH, RoomId: 4_294_967_294 }],
    ["a string room", { RoomIdType: 0 }, { ...ROOMLESS, StrRoomId: "42" }],
    [
      "a live source",
      { StreamUrl: "rtmp://live.example/app/key" },
      { VideoSrc: "rtmp://live.example/app/key", Mode: "live" },
    ],
    ["a live source over TLS", { StreamUrl: "RTMPS://live.example/a/k" }, { Mode: "live" }],
    ["a live source over SRT", { StreamUrl: "srt://live.example:9000" }, { Mode: "live" }],
    [
      "the deprecated SourceUrl",
      { StreamUrl: undefined, SourceUrl: ["https://a.example/b.mp4"] },
      { VideoSrc: "https://a.example/b.mp4" },
    ],
    ["StreamUrl in preference to SourceUrl", { SourceUrl: ["https://a.example/b.mp4"] }, { VideoSrc: LEAST.StreamUrl }],
    ["the start position", { SeekSecond: 90 }, { SeekSecond: 90 }],
    ["endless repetition with a MaxDuration", { RepeatNum: -1, MaxDuration: 60 }, { RepeatNum: -1, MaxDuration: 60 }],
    [
      "a volume, a tempo and an idle timeout",
      { Volume: 0, Tempo: 1.25, IdleTimeout: 0 },
      { Volume: 0, Tempo: 1.25, IdleTimeout: 0 },
    ],
    ["a PrivateMapKey", { PrivateMapKey: "key" }, { PrivateMapKey: "key" }],
    ["parameters that are off", { AutoPush: false, EnableProgress: false }, PUSH],
    [
      "encodings, where 0 keeps the size of the source",
      {
        VideoEncodeParams: { Width: 0, Height: 720, Fps: 25, BitRate: 1500, Gop: 2 },
        AudioEncodeParams: { Channel: 1, Volume: 0 },
      },
      {
        VideoEncodeParams: { Height: 720, Fps: 25, BitRate: 1500, Gop: 2 },
        AudioEncodeParams: { Channel: 1, Volume: 0 },
      },
    ],
  ])("passes on %s", (_what, call, expected) => {
    expect(pushed(call)).toMatchObject(expected);
  });

  it("applies MaxDuration only to endless repetition", () => {
    expect(pushed({ RepeatNum: 3, MaxDuration: 60 })).toEqual({ ...PUSH, RepeatNum: 3 });
  });

  it.each<[string, object]>([
    ["RoomId", { RoomId: "math" }],
    ["RoomId", { RoomId: "0" }],
    ["RoomId", { RoomId: "042" }],
    ["RoomId", { RoomId: "4294967295" }],
    ["RoomId", { RoomId: 42 }],
    ["RoomId", { RoomIdType: 0, RoomId: "math 7b" }],
    ["RoomIdType", { RoomIdType: 2 }],
    ["StreamUrl", { StreamUrl: undefined }],
    ["StreamUrl", { StreamUrl: "ftp://a.example/b" }],
    ["SourceUrl", { SourceUrl: ["https://a.example/1", "https://a.example/2"] }],
    ["AutoPush", { AutoPush: true }],
    ["EnableProgress", { EnableProgress: true }],
    ["SeekSecond", { SeekSecond: -1 }],
    ["RepeatNum", { RepeatNum: 0 }],
    ["RepeatNum", { RepeatNum: 1001 }],
    ["MaxDuration", { MaxDuration: 10_081 }],
    ["Volume", { Volume: 201 }],
    ["Tempo", { Tempo: 3 }],
    ["IdleTimeout", { IdleTimeout: 601 }],
    ["VideoEncodeParams.Width", { VideoEncodeParams: { Width: 1921 } }],
    ["VideoEncodeParams.Height", { VideoEncodeParams: { Height: 1 } }],
    ["VideoEncodeParams.Fps", { VideoEncodeParams: { Fps: 0 } }],
    ["AudioEncodeParams.SampleRate", { AudioEncodeParams: { SampleRate: 8000 } }],
  ])("names %s when it is out of bounds", (field, call) => {
    const refused = expect.objectContaining({ fields: [expect.objectContaining({ field })] });
    expect(() => validate(startStreamIngestSchema, { ...LEAST, ...call })).toThrow(refused);
  });

  it("names all wrong parameters at once, by Tencent's names", () => {
    const wrong = { RoomId: "x", UserId: "a b", StreamUrl: undefined, Tempo: 9, AutoPush: true, VideoSrc: "x" };
    expect(() => validate(startStreamIngestSchema, { ...LEAST, ...wrong })).toThrow(
      expect.objectContaining({
        fields: expect.toSatisfy(
          (fields: readonly { field: string }[]) =>
            fields
              .map(({ field }) => field)
              .toSorted()
              .join() === "AutoPush,RoomId,StreamUrl,Tempo,UserId,VideoSrc",
        ),
      }),
    );
  });
});
