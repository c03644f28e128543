import { describe, expect, it } from "vitest";
import { parseSeatKey, type Seat, seatKey, seatOf } from "./seat.ts";

describe("seatOf", () => {
  it("uses the integer room when both are given", () => {
    const seat = seatOf({ SdkAppId: 1, RoomId: 42, StrRoomId: "class", UserId: "u" });
    expect(seat).toEqual({ sdkAppId: 1, room: { kind: "number", id: 42 }, userId: "u" });
  });

  it("uses the string room when it is the only one", () => {
    expect(seatOf({ SdkAppId: 1, StrRoomId: "class", UserId: "u" }).room).toEqual({ kind: "string", id: "class" });
  });
});

describe("seatKey", () => {
  const seat: Seat = { sdkAppId: 1, room: { kind: "number", id: 42 }, userId: "u" };

  it("is equal for equal seats", () => {
    expect(seatKey({ ...seat, room: { ...seat.room } })).toBe(seatKey(seat));
  });

  it.each<[string, Seat]>([
    ["application", { ...seat, sdkAppId: 2 }],
    ["user", { ...seat, userId: "v" }],
    ["room", { ...seat, room: { kind: "number", id: 43 } }],
    ["kind of room, though its id reads the same", { ...seat, room: { kind: "string", id: "42" } }],
  ])("differs for another %s", (_what, other) => {
    expect(seatKey(other)).not.toBe(seatKey(seat));
  });
});

describe("parseSeatKey", () => {
  it.each<Seat>([
    { sdkAppId: 1_400_000_001, room: { kind: "number", id: 4_294_967_294 }, userId: "teacher-7b" },
    { sdkAppId: 1, room: { kind: "string", id: "42" }, userId: "u" },
  ])("reads what seatKey writes: %o", (seat) => {
    expect(parseSeatKey(seatKey(seat))).toEqual(seat);
  });

  it.each(["", "1/number/42", "1/string/a/u/more", "1/hall/a/u"])("refuses %j", (text) => {
    expect(() => parseSeatKey(text)).toThrow("not the key of a seat");
  });
});
