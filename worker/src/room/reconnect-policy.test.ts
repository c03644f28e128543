import { type ErrorCode, RoomcastError } from "@roomcast/shared";
import { expect, it } from "vitest";
import { mayEnterAgain, mayReturn } from "./reconnect-policy.ts";

it.each<[ErrorCode, { readonly room: boolean; readonly liveSource: boolean }]>([
  ["FailedOperation.RoomLost", { room: true, liveSource: false }],
  ["FailedOperation.RoomUnreachable", { room: true, liveSource: false }],
  ["FailedOperation.RoomRefused", { room: false, liveSource: false }],
  ["FailedOperation.RoomReplaced", { room: false, liveSource: false }],
  ["FailedOperation.SourceLost", { room: false, liveSource: true }],
  ["FailedOperation.SourceNotFound", { room: false, liveSource: true }],
  ["FailedOperation.SourceTimeout", { room: false, liveSource: true }],
  ["FailedOperation.SourceForbidden", { room: false, liveSource: false }],
  ["FailedOperation.SourceNotMedia", { room: false, liveSource: false }],
  ["InternalError", { room: false, liveSource: false }],
])("%s is waited for: %o", (code, expected) => {
  const error = new RoomcastError(code, "gone");
  expect({ room: mayEnterAgain(error), liveSource: mayReturn(error) }).toEqual(expected);
});
