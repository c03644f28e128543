import { describe, expect, test } from "vitest";
import { withEmulationPrevention, withoutEmulationPrevention } from "./emulation-prevention.ts";

describe("emulation prevention", () => {
  test.each([
    ["no zeros", "41e0ff", "41e0ff"],
    ["two zeros at the end of a run", "410000", "410000"],
    ["a start code", "41000001", "4100000301"],
    ["the prevention byte itself", "41000003", "4100000303"],
    ["a byte that needs none", "41000004", "41000004"],
    ["many zeros", "000000000000", "0000030000030000"],
  ])("writes %s as the specification says, and reads it back", (_name, plain, protectedBytes) => {
    const bytes = Buffer.from(plain, "hex");
    expect(Buffer.from(withEmulationPrevention(bytes)).toString("hex")).toBe(protectedBytes);
    expect(Buffer.from(withoutEmulationPrevention(Buffer.from(protectedBytes, "hex"))).toString("hex")).toBe(plain);
  });
});
