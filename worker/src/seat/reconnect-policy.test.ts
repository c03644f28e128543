import { type ErrorCode, RoomcastError } from "@roomcast/shared";
import { describe, expect, it } from "vitest";
import { mayReconnect } from "./reconnect-policy.ts";

describe("mayReconnect", () => {
  it.each<[ErrorCode, boolean]>([
    ["FailedOperation.RoomLost", true],
    ["FailedOperation.RoomUnreachable", true],
    ["FailedOperation.RoomRefused", false],
    ["FailedOperation.RoomReplaced", false],
    ["FailedOperation.SourceLost", false],
    ["InternalError", false],
  ])("of a room that was lost with %s is %s", (code, expected) => {
    expect(mayReconnect(new RoomcastError(code, "gone"))).toBe(expected);
  });
});
