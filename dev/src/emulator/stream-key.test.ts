import { describe, expect, it } from "vitest";
import { readStreamKey } from "./stream-key.ts";

const QUERY = "sdkappid=1400000001&userid=alice&usersig=eJx-secret*_";

describe("readStreamKey", () => {
  it.each([
    [`class_1?${QUERY}`, { kind: "string", id: "class_1" }],
    [`42?${QUERY}`, { kind: "string", id: "42" }],
    [`42?${QUERY}&use_number_room_id=0`, { kind: "string", id: "42" }],
    [`42?${QUERY}&use_number_room_id=1`, { kind: "number", id: 42 }],
    [`4294967294?use_number_room_id=1&${QUERY}`, { kind: "number", id: 4_294_967_294 }],
    [`${"r".repeat(64)}?${QUERY}`, { kind: "string", id: "r".repeat(64) }],
  ])("reads %s", (text, room) => {
    expect(readStreamKey(text)).toEqual({
      ok: true,
      key: { seat: { sdkAppId: 1_400_000_001, userId: "alice", room }, userSig: "eJx-secret*_" },
    });
  });

  it.each([
    ["class_1", "no query"],
    ["", "no query"],
    ["class_1?", "sdkappid is missing"],
    ["class_1?userid=alice&usersig=secret", "sdkappid is missing"],
    ["class_1?sdkappid=1400000001&usersig=secret", "userid is missing"],
    ["class_1?sdkappid=1400000001&userid=alice", "usersig is missing"],
    ["class_1?sdkappid=1400000001&userid=alice&usersig=", "usersig is empty"],
    ["class_1?sdkappid=app&userid=alice&usersig=secret", "sdkappid is invalid"],
    ["class_1?sdkappid=01&userid=alice&usersig=secret", "sdkappid is invalid"],
    ["class_1?sdkappid=4294967296&userid=alice&usersig=secret", "sdkappid is invalid"],
    ["class_1?sdkappid=1&userid=al%20ice&usersig=secret", "userid is invalid"],
    [`class_1?sdkappid=1&userid=${"a".repeat(33)}&usersig=secret`, "userid is invalid"],
    [`class_1?${QUERY}&userid=bob`, "userid is given 2 times"],
    [`class_1?${QUERY}&use_number_room_id=yes`, "use_number_room_id is invalid"],
    [`class_1?${QUERY}&use_number_room_id=1`, "The room is invalid"],
    [`0?${QUERY}&use_number_room_id=1`, "The room is invalid"],
    [`4294967295?${QUERY}&use_number_room_id=1`, "The room is invalid"],
    [`class-1?${QUERY}`, "The room is invalid"],
    [`?${QUERY}`, "The room is invalid"],
    [`${"r".repeat(65)}?${QUERY}`, "The room is invalid"],
    ["x".repeat(8193), "longer than"],
  ])("refuses %s and says what is wrong, without repeating the UserSig", (text, problem) => {
    const read = readStreamKey(text);
    expect(read).toMatchObject({ ok: false, refusal: { code: "NetStream.Publish.BadName" } });
    expect(JSON.stringify(read)).toContain(problem);
    expect(JSON.stringify(read)).not.toContain("secret");
  });
});
