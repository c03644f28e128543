import { describe, expect, it } from "vitest";
import { readEmulatedApps } from "./emulated-apps.ts";

describe("readEmulatedApps", () => {
  it("reads one application or many", () => {
    expect(readEmulatedApps("1400000001:first")).toEqual({ 1400000001: "first" });
    expect(readEmulatedApps("1:a:b, 2:c,")).toEqual({ 1: "a:b", 2: "c" });
  });

  it.each([undefined, "", " , "])("reports that the applications are missing in %j", (text) => {
    expect(() => readEmulatedApps(text)).toThrow("ROOMCAST_EMULATOR_APPS is missing");
  });

  it.each(["secret", "1:good,x:secret", "1:", "0:secret"])("names a bad entry of %j without its secret", (text) => {
    expect(() => readEmulatedApps(text)).toThrow(/^ROOMCAST_EMULATOR_APPS: entry [12] is invalid/);
    expect(() => readEmulatedApps(text)).not.toThrow(/secret/);
  });
});
