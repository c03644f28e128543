import { describe, expect, it } from "vitest";
import { isSignedWith } from "../doors/room-events/event-signature.ts";
import { readRoomEvent } from "./room-event.ts";

/** The example of TRTC's document 39558, byte for byte. */
const EXAMPLE =
  '{\n\t"EventGroupId":\t2,\n\t"EventType":\t204,\n\t"CallbackTs":\t1664209748188,\n\t"EventInfo":\t{\n\t\t"RoomId":\t8489,\n\t\t"EventTs":\t1664209748,\n\t\t"EventMsTs":\t1664209748180,\n\t\t"UserId":\t"user_85034614",\n\t\t"Reason":\t0\n\t}\n}';
const EXAMPLE_SIGN = "kkoFeO3Oh2ZHnjtg8tEAQhtXK16/KI05W3BQff8IvGA=";

const AT = { EventTs: 1_687_770_731, EventMsTs: 1_687_770_731_831 };
const USER = { UserId: "test", ...AT };

describe("Room event", () => {
  it.each<[string, string, string, boolean]>([
    ["accepts the signature of TRTC's own example", EXAMPLE_SIGN, "123654", true],
    ["rejects a signature that was made with another key", EXAMPLE_SIGN, "123655", false],
    ["rejects half of a signature", EXAMPLE_SIGN.slice(0, 20), "123654", false],
    ["rejects an empty signature", "", "123654", false],
    ["rejects a signature that is not base64", "not base64 at all", "123654", false],
  ])("%s", async (_which, sign, key, holds) => {
    expect(await isSignedWith(EXAMPLE, sign, key)).toBe(holds);
  });

  it.each<[string, number, number, object, object | null]>([
    ["a room that is created", 1, 101, { RoomId: 12345, ...USER }, { kind: "created", userId: null }],
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
    ["a user who is removed", 1, 104, { RoomId: 12345, ...USER, Reason: 3 }, { kind: "left", removed: true }],
    ["video that starts", 2, 201, { RoomId: 12345, ...USER }, { kind: "videoStarted" }],
    ["video that is turned off", 2, 202, { RoomId: 12345, ...USER, Reason: 0 }, { kind: "videoStopped" }],
    ["an old event without ms", 1, 103, { RoomId: 1, UserId: "u", EventTs: 5 }, { atMs: 5000 }],
    ["audio", 2, 203, { RoomId: 12345, ...USER }, null],
    ["a change of role", 1, 105, { RoomId: 12345, ...USER, Role: 21 }, null],
    ["a recording", 3, 301, { RoomId: "12345", ...USER }, null],
    ["a user without a name", 1, 103, { RoomId: 12345, ...AT }, null],
    ["a user without a room", 1, 103, USER, null],
    ["a room with a slash", 1, 103, { RoomId: "a/b", ...USER }, null],
  ])("returns the expected event, or null, for %s", (_what, EventGroupId, EventType, EventInfo, expected) => {
    const event = readRoomEvent({ EventGroupId, EventType, CallbackTs: 1_687_770_731_932, EventInfo });
    // Only the expected fields of the event are compared.
    const known = event === null || expected === null ? event : { ...event, ...expected };
    expect([event, expected === null]).toEqual([known, event === null]);
  });

  it.each([null, 1, "text", [], {}, { EventGroupId: 1 }])(
    "returns null for a body that is not an event: %j",
    (body) => {
      expect(readRoomEvent(body)).toBeNull();
    },
  );
});
