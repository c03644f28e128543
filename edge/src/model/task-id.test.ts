import { describe, expect, it } from "vitest";
import { z } from "zod";
import { newTaskId, sdkAppIdOf } from "./task-id.ts";

describe("Task id", () => {
  it.each([1, 1_400_000_001, 4_294_967_295])("is a unique UUID that contains application %d", (app) => {
    const ids = Array.from({ length: 100 }, () => newTaskId(app));
    for (const id of ids) {
      expect(z.uuid({ version: "v8" }).safeParse(id).success).toBe(true);
      expect(sdkAppIdOf(id)).toBe(app);
    }
    expect(new Set(ids.map((id) => id.slice(0, 23))).size).toBe(100);
  });

  it("contains no application when an older edge made it", () => {
    expect(sdkAppIdOf(crypto.randomUUID())).toBeNull();
    expect(sdkAppIdOf("01127174-d863-86a2-b20a-538600000000")).toBeNull();
  });
});
