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
  ])("decides for %s whether the session reconnects: %s", (code, expected) => {
    expect(mayReconnect(new RoomcastError(code, "gone"))).toBe(expected);
  });
});
