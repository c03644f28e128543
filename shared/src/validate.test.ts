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
  it("returns what the schema makes of a right value", () => {
    expect(validate(schema, { name: "a", size: 1 })).toEqual({ name: "a", size: 1 });
  });

  it.each<[string, unknown, string, string]>([
    ["missing", {}, "MissingParameter", "name is missing: expected a text."],
    ["mistyped", { name: 1 }, "InvalidParameterValue", "name is invalid: expected a text."],
    ["null", { name: null }, "InvalidParameterValue", "name is invalid: expected a text."],
    ["unknown", { name: "a", nmae: 1 }, "UnknownParameter", "nmae is not a known parameter."],
    [
      "nested",
      { name: "a", canvas: { width: "1", height: 1 }, list: [1, "2"] },
      "InvalidParameterValue",
      "canvas.width is invalid: expected an integer; canvas.height is not a known parameter; list.1 is invalid: expected an integer.",
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

  it.each([null, [], "text", 7, true])("says that a body of %j is no JSON object", (body) => {
    expect(failure(body).message).toBe("(body) is invalid: expected a JSON object.");
  });

  it("says that no body at all is missing", () => {
    expect(failure(undefined).message).toBe("(body) is missing: expected a JSON object.");
  });

  it("does not let a caller blow up the message with names of his own", () => {
    const names = Array.from({ length: 5000 }, (_, index) => `${index}${"x".repeat(1000)}`);
    const error = failure({ name: "a", ...Object.fromEntries(names.map((name) => [name, 1])) });
    expect(error.message.length).toBeLessThan(4000);
    expect(error.message).toMatch(/; and 4968 more\.$/);
  });

  it("takes a field called __proto__ for what it is: unknown", () => {
    expect(failure(JSON.parse('{"name":"a","__proto__":{"size":1}}')).code).toBe("UnknownParameter");
  });
});
