import { describe, expect, it } from "vitest";
import { givenFields } from "./given-fields.ts";
import { pushRequestSchema, taskUpdateSchema } from "./push-request.ts";

describe("the fields that are given", () => {
  it.each([null, ""])("do not include optional ones that are %j, at any depth", (none) => {
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

  it("include what must be there, what is not known, and what only looks empty", () => {
    const sent = { UserId: "", VideoSrc: null, Nothing: null, toString: "", Volume: 0, Redis: false, Preload: [] };
    expect(givenFields(pushRequestSchema, sent)).toEqual(sent);
  });

  it("of a field called __proto__ are its own, not those of all objects", () => {
    const given = givenFields(pushRequestSchema, JSON.parse('{"__proto__":{"Mode":"live"},"Volume":null}'));
    expect(Object.keys(given ?? {})).toEqual(["__proto__"]);
  });

  it.each([null, "", 7, [null]])("of %j are itself: there are none", (input) => {
    expect(givenFields(pushRequestSchema, input)).toEqual(input);
  });
});
