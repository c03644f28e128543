import { expect, test } from "vitest";
import { isSignedWith } from "../doors/room-events/event-signature.ts";
import { readRoomEvent } from "./room-event.ts";

/** The example of TRTC's document 39558, to the letter. */
const EXAMPLE =
  '{\n\t"EventGroupId":\t2,\n\t"EventType":\t204,\n\t"CallbackTs":\t1664209748188,\n\t"EventInfo":\t{\n\t\t"RoomId":\t8489,\n\t\t"EventTs":\t1664209748,\n\t\t"EventMsTs":\t1664209748180,\n\t\t"UserId":\t"user_85034614",\n\t\t"Reason":\t0\n\t}\n}';
const EXAMPLE_SIGN = "kkoFeO3Oh2ZHnjtg8tEAQhtXK16/KI05W3BQff8IvGA=";

test.each<[string, string, string, boolean]>([
  ["TRTC's own example holds", EXAMPLE_SIGN, "123654", true],
  ["another key's does not", EXAMPLE_SIGN, "123655", false],
  ["half of one does not", EXAMPLE_SIGN.slice(0, 20), "123654", false],
  ["none does not", "", "123654", false],
  ["what is no base64 does not", "not base64 at all", "123654", false],
])("of signatures %s", async (_which, sign, key, holds) => {
  expect(await isSignedWith(EXAMPLE, sign, key)).toBe(holds);
});

const AT = { EventTs: 1_687_770_731, EventMsTs: 1_687_770_731_831 };
const USER = { UserId: "test", ...AT };

test.each<[string, number, number, object, object | null]>([
  ["a room that is made", 1, 101, { RoomId: 12345, ...USER }, { kind: "created", userId: null }],
  [
    "a room that is dismissed",
    1,
    102,
    { RoomId: "12345", ...AT },
    { kind: "dismissed", room: { kind: "string", id: "12345" }, userId: null, atMs: AT.EventMsTs },
  ],
  [
    "a user who enters an integer room",
    1,
    103,
    { RoomId: 12345, ...USER, Role: 21, TerminalType: 2, UserType: 3, Reason: 1 },
    { kind: "entered", room: { kind: "number", id: 12345 }, userId: "test" },
  ],
  ["a user who leaves", 1, 104, { RoomId: 12345, ...USER, Reason: 2 }, { kind: "left", removed: false }],
  ["a user who is taken out", 1, 104, { RoomId: 12345, ...USER, Reason: 3 }, { kind: "left", removed: true }],
  ["a picture that begins", 2, 201, { RoomId: 12345, ...USER }, { kind: "videoStarted" }],
  ["a picture that is turned off", 2, 202, { RoomId: 12345, ...USER, Reason: 0 }, { kind: "videoStopped" }],
  ["an old event without ms", 1, 103, { RoomId: 1, UserId: "u", EventTs: 5 }, { atMs: 5000 }],
  ["sound", 2, 203, { RoomId: 12345, ...USER }, null],
  ["another role", 1, 105, { RoomId: 12345, ...USER, Role: 21 }, null],
  ["a recording", 3, 301, { RoomId: "12345", ...USER }, null],
  ["a user without a name", 1, 103, { RoomId: 12345, ...AT }, null],
  ["no room", 1, 103, USER, null],
  ["a room with a slash", 1, 103, { RoomId: "a/b", ...USER }, null],
])("the event of %s is read", (_what, EventGroupId, EventType, EventInfo, expected) => {
  const event = readRoomEvent({ EventGroupId, EventType, CallbackTs: 1_687_770_731_932, EventInfo });
  // Of an event that is read, as much as is expected.
  const known = event === null || expected === null ? event : { ...event, ...expected };
  expect([event, expected === null]).toEqual([known, event === null]);
});

test.each([null, 1, "text", [], {}, { EventGroupId: 1 }])("what is no event (%j) is passed over", (body) => {
  expect(readRoomEvent(body)).toBeNull();
});
