import { type ErrorCode, RoomcastError } from "@roomcast/shared";
import { expect, it } from "vitest";
import { mayEnterAgain, mayOpenLater, mayReturn } from "./reconnect-policy.ts";

it.each<[ErrorCode, { readonly room: boolean; readonly liveSource: boolean; readonly recorded: boolean }]>([
  ["FailedOperation.RoomLost", { room: true, liveSource: false, recorded: false }],
  ["FailedOperation.RoomUnreachable", { room: true, liveSource: false, recorded: false }],
  ["FailedOperation.RoomRefused", { room: false, liveSource: false, recorded: false }],
  ["FailedOperation.RoomReplaced", { room: false, liveSource: false, recorded: false }],
  ["FailedOperation.SourceLost", { room: false, liveSource: true, recorded: true }],
  ["FailedOperation.SourceNotFound", { room: false, liveSource: true, recorded: false }],
  ["FailedOperation.SourceTimeout", { room: false, liveSource: true, recorded: true }],
  ["FailedOperation.SourceUnreachable", { room: false, liveSource: true, recorded: true }],
  ["FailedOperation.SourceTruncated", { room: false, liveSource: true, recorded: false }],
  ["FailedOperation.SourceForbidden", { room: false, liveSource: false, recorded: false }],
  ["FailedOperation.SourceNotMedia", { room: false, liveSource: false, recorded: false }],
  ["InternalError", { room: false, liveSource: false, recorded: false }],
])("%s is waited for: %o", (code, expected) => {
  const error = new RoomcastError(code, "gone");
  const waitedFor = { room: mayEnterAgain(error), liveSource: mayReturn(error), recorded: mayOpenLater(error) };
  expect(waitedFor).toEqual(expected);
});
