import { describe, expect, it } from "vitest";
import { givenFields } from "./given-fields.ts";
import { pushRequestSchema, taskUpdateSchema } from "./push-request.ts";

describe("givenFields", () => {
  it.each([null, ""])("drops optional fields that are %j, at any depth", (none) => {
    const sent = {
      VideoSrc: "https://h/v.mp4",
      StrRoomId: none,
      Mode: none,
      Redis: none,
      RedisPassword: none,
      Volume: none,
      Preload: none,
      VideoEncodeParams: { Width: none, Fps: 25 },
      AudioEncodeParams: none,
    };
    expect(givenFields(pushRequestSchema, sent)).toEqual({
      VideoSrc: "https://h/v.mp4",
      VideoEncodeParams: { Fps: 25 },
    });
    expect(givenFields(taskUpdateSchema, { Volume: none, IsPause: true })).toEqual({ IsPause: true });
  });

  it("keeps required fields, unknown fields and values that only look empty", () => {
    const sent = { UserId: "", VideoSrc: null, Nothing: null, toString: "", Volume: 0, Redis: false, Preload: [] };
    expect(givenFields(pushRequestSchema, sent)).toEqual(sent);
  });

  it("keeps a field called __proto__ without changing the prototype", () => {
    const given = givenFields(pushRequestSchema, JSON.parse('{"__proto__":{"Mode":"live"},"Volume":null}'));
    expect(Object.keys(given ?? {})).toEqual(["__proto__"]);
  });

  it.each([null, "", 7, [null]])("returns %j unchanged", (input) => {
    expect(givenFields(pushRequestSchema, input)).toEqual(input);
  });
});
