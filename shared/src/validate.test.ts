import { describe, expect, it } from "vitest";
import { z } from "zod";
import { RoomcastError } from "./errors.ts";
import { validate } from "./validate.ts";

const schema = z.strictObject(
  {
    name: z.string("a text"),
    size: z.int("an integer").optional(),
    canvas: z.strictObject({ width: z.int("an integer") }, "an object").optional(),
    list: z.array(z.int("an integer"), "a list").optional(),
    loud: z.boolean("true or false").optional(),
    speed: z.literal([1, 2], "1 or 2").optional(),
    track: z.union([z.string().regex(/^[a-z]+$/, { abort: true }), z.int()], "a language or a number").optional(),
  },
  "a JSON object",
);

function failure(input: unknown): RoomcastError {
  try {
    validate(schema, input);
  } catch (error) {
    if (error instanceof RoomcastError) return error;
  }
  throw new Error("expected a RoomcastError");
}

describe("validate", () => {
  it("returns the schema's output for a valid value", () => {
    expect(validate(schema, { name: "a", size: 1 })).toEqual({ name: "a", size: 1 });
  });

  it.each<[string, unknown, string, string]>([
    ["missing", {}, "MissingParameter", "name is missing: expected a text."],
    ["mistyped", { name: ["a"] }, "InvalidParameterValue", "name is invalid: expected a text."],
    [
      "a number instead of a text",
      { name: 1 },
      "InvalidParameterValue",
      "name is invalid: expected a text, not a number: write it in quotes.",
    ],
    [
      "a number in quotes",
      { name: "a", size: " 12 " },
      "InvalidParameterValue",
      "size is invalid: expected an integer, not a text: write it without quotes.",
    ],
    [
      "true or false in quotes",
      { name: "a", loud: "True" },
      "InvalidParameterValue",
      "loud is invalid: expected true or false, not a text: write it without quotes.",
    ],
    [
      "a choice of numbers in quotes",
      { name: "a", speed: "2" },
      "InvalidParameterValue",
      "speed is invalid: expected 1 or 2, not a text: write it without quotes.",
    ],
    [
      "a number in quotes where some texts are right too",
      { name: "a", track: "2" },
      "InvalidParameterValue",
      "track is invalid: expected a language or a number, not a text: write it without quotes.",
    ],
    ["a text of words", { name: "a", size: "big" }, "InvalidParameterValue", "size is invalid: expected an integer."],
    ["null", { name: null }, "InvalidParameterValue", "name is invalid: expected a text."],
    ["unknown", { name: "a", nmae: 1 }, "UnknownParameter", "nmae is not a known parameter."],
    [
      "nested",
      { name: "a", canvas: { width: "1", height: 1 }, list: [1, "b"] },
      "InvalidParameterValue",
      "canvas.width is invalid: expected an integer, not a text: write it without quotes; canvas.height is not a known parameter; list.1 is invalid: expected an integer.",
    ],
  ])("names a field that is %s and what was expected", (_what, input, code, message) => {
    expect(failure(input)).toMatchObject({ code, message });
  });

  it("reports all wrong fields at once", () => {
    const error = failure({ size: "big", nmae: "a" });
    expect(error.code).toBe("InvalidParameterValue");
    expect(error.fields).toEqual(
      expect.arrayContaining([
        { field: "name", problem: "missing", expected: "a text" },
        { field: "size", problem: "invalid", expected: "an integer" },
        { field: "nmae", problem: "unknown", expected: "no such field" },
      ]),
    );
  });

  it.each([null, [], "text", 7, true])("says that a body of %j is not a JSON object", (body) => {
    expect(failure(body).message).toBe("(body) is invalid: expected a JSON object.");
  });

  it("says that the body is missing when there is none", () => {
    expect(failure(undefined).message).toBe("(body) is missing: expected a JSON object.");
  });

  it("limits the length of a message that repeats a caller's field names", () => {
    const names = Array.from({ length: 5000 }, (_, index) => `${index}${"x".repeat(1000)}`);
    const error = failure({ name: "a", ...Object.fromEntries(names.map((name) => [name, 1])) });
    expect(error.message.length).toBeLessThan(4000);
    expect(error.message).toMatch(/; and 4968 more\.$/);
  });

  it("reports a field called __proto__ as unknown", () => {
    expect(failure(JSON.parse('{"name":"a","__proto__":{"size":1}}')).code).toBe("UnknownParameter");
  });
});
