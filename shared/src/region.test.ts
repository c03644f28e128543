import { describe, expect, it } from "vitest";
import { regionName } from "./region.ts";

describe("regionName", () => {
  it.each(["ap-guangzhou", "na-siliconvalley", "eu-frankfurt-2", "local-1"])("accepts %s", (name) => {
    expect(regionName.parse(name)).toBe(name);
  });

  it.each(["", "ap", "AP-guangzhou", "ap_guangzhou", "ap-", "ap-a/../b", "ap-guangzhou\n", 7, null])(
    "refuses %j",
    (name) => {
      expect(regionName.safeParse(name).success).toBe(false);
    },
  );
});
