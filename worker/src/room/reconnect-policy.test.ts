import { type ErrorCode, RoomcastError } from "@roomcast/shared";
import { expect, it } from "vitest";
import { mayReconnect } from "./reconnect-policy.ts";

const VOD = { live: false, wasOnAir: true };
const LIVE = { live: true, wasOnAir: true };

it.each<[ErrorCode, typeof VOD, boolean]>([
  ["FailedOperation.RoomLost", VOD, true],
  ["FailedOperation.RoomLost", LIVE, true],
  ["FailedOperation.RoomLost", { live: false, wasOnAir: false }, false],
  ["FailedOperation.RoomUnreachable", VOD, true],
  ["FailedOperation.RoomRefused", LIVE, false],
  ["FailedOperation.RoomReplaced", LIVE, false],
  ["FailedOperation.SourceLost", LIVE, true],
  ["FailedOperation.SourceLost", VOD, false],
  ["FailedOperation.SourceLost", { live: true, wasOnAir: false }, false],
  ["FailedOperation.SourceNotFound", LIVE, true],
  ["FailedOperation.SourceForbidden", LIVE, false],
  ["FailedOperation.SourceTruncated", VOD, false],
  ["InternalError", LIVE, false],
])("%s with %o is waited for: %s", (code, session, expected) => {
  expect(mayReconnect(new RoomcastError(code, "gone"), session)).toBe(expected);
});
