import { describe, expect, it } from "vitest";
import { PipelineMemory } from "./pipeline-memory.ts";

describe("PipelineMemory", () => {
  it("remembers a server for ten minutes, and no other", () => {
    let nowMs = 0;
    const memory = new PipelineMemory(() => nowMs);
    memory.remember("room:1935");
    nowMs = 10 * 60_000 - 1;
    expect([memory.takesOneAtATime("room:1935"), memory.takesOneAtATime("room:443")]).toEqual([true, false]);
    nowMs += 1;
    expect(memory.takesOneAtATime("room:1935")).toBe(false);
  });
});
