import { describe, expect, it } from "vitest";
import { z } from "zod";
import { nested, typedFor } from "./query-parameters.ts";

function read(query: string): unknown {
  return nested([...new URLSearchParams(query)]);
}

const schema = z.strictObject({
  Room: z.string(),
  Limit: z.int().max(100).optional(),
  Tempo: z.number().optional(),
  Grace: z.boolean().optional(),
  Params: z.strictObject({ Width: z.int() }).optional(),
  Sizes: z.array(z.int()).optional(),
});

describe("Query parameters", () => {
  it.each([
    ["", {}],
    ["FunctionName=push&Limit=10", { FunctionName: "push", Limit: "10" }],
    ["Status.0=RUNNING&Status.1=FAILED", { Status: ["RUNNING", "FAILED"] }],
    ["Status.1=b&Status.0=a", { Status: ["a", "b"] }],
    ["StartTimeInterval.Start=2026-11-20%2010:00:00", { StartTimeInterval: { Start: "2026-11-20 10:00:00" } }],
    ["Filters.0.Name=x&Filters.0.Values.0=y", { Filters: [{ Name: "x", Values: ["y"] }] }],
    ["Name=%E6%BC%A2%E5%AD%97+%2B", { Name: "漢字 +" }],
  ])("are read from the query %j as the same JSON would be", (query, expected) => {
    expect(read(query)).toEqual(expected);
  });

  it.each(["A=1&A.B=2", "A.B.C.D.E.F=1", `${"A=1&".repeat(200)}A=1`])(
    "are refused when names contradict each other, are nested too deep or are too many",
    (query) => {
      expect(() => read(query)).toThrow(expect.objectContaining({ code: "InvalidParameter" }));
    },
  );

  it("may have the names of properties that every object inherits", () => {
    const value = read("__proto__.polluted=1&constructor=2");
    // SAFETY: the parser returns an object; the keys of anything else would not be equal.
    expect(Object.keys(value as object)).toEqual(["__proto__", "constructor"]);
    expect({}).not.toHaveProperty("polluted");
  });

  it.each([
    ["Room=42", { Room: "42" }],
    ["Room=true&Limit=10&Tempo=0.5&Grace=false", { Room: "true", Limit: 10, Tempo: 0.5, Grace: false }],
    ["Room=a&Params.Width=1280&Sizes.0=1&Sizes.1=2", { Room: "a", Params: { Width: 1280 }, Sizes: [1, 2] }],
  ])("get the types that the schema requires: %s", (query, expected) => {
    expect(schema.parse(typedFor(schema, read(query)))).toEqual(expected);
  });

  it("stay wrong when they do not fit the schema, and each wrong one is reported", () => {
    const typed = typedFor(schema, read("Limit=1000&Grace=yes&Params.Width=wide"));
    const { error } = schema.safeParse(typed);
    expect(error?.issues.map(({ path }) => path.join("."))).toEqual(["Room", "Limit", "Grace", "Params.Width"]);
  });
});
