import { pushRequestSchema, validate } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { progressKey, readRecord } from "./progress-record.ts";

const request = validate(pushRequestSchema, {
  VideoSrc: "https://media.example.com/clip.mp4",
  SdkAppId: 1400000001,
  RoomId: 42,
  UserId: "teacher",
  UserSig: "sig",
});

describe("ProgressRecord", () => {
  it("uses one key for all pushes of a source, whichever room they go to", () => {
    expect(progressKey({ ...request, RoomId: 43 })).toBe(progressKey(request));
    expect(progressKey({ ...request, VideoSrc: "https://media.example.com/other.mp4" })).not.toBe(progressKey(request));
  });

  it("uses one key per seat in the scope of a room", () => {
    const key = progressKey(request, "room");
    expect(key).toBe(`${progressKey(request)}:1400000001/number/42/teacher`);
    expect(progressKey({ ...request, RoomId: 43 }, "room")).not.toBe(key);
  });

  const whole = {
    Item: "2",
    PositionMs: "1500",
    DurationMs: "30000",
    State: "aborted",
    TaskId: "11111111-1111-4111-8111-111111111111",
    Attempt: "2",
    UpdatedAt: "1700000000000",
  };

  it("reads a complete record as it was written", () => {
    expect(readRecord(whole)).toEqual({
      item: 2,
      positionMs: 1500,
      durationMs: 30000,
      state: "aborted",
      taskId: "11111111-1111-4111-8111-111111111111",
      attempt: 2,
      updatedAtMs: 1_700_000_000_000,
    });
  });

  it("reads an unknown duration as null", () => {
    expect(readRecord({ ...whole, DurationMs: "" })?.durationMs).toBeNull();
  });

  it.each([
    ["nothing", {}],
    ["a position that is not a number", { ...whole, PositionMs: "1e9" }],
    ["a negative position", { ...whole, PositionMs: "-1" }],
    ["an endless position", { ...whole, PositionMs: "9".repeat(400) }],
    ["an unknown state", { ...whole, State: "playing" }],
    ["no attempt", { ...whole, Attempt: "" }],
  ])("rejects a record with %s", (_name, hash) => {
    expect(readRecord(hash)).toBeNull();
  });
});
