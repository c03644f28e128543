import { describe, expect, it } from "vitest";
import { Pacer } from "./pacer.ts";

describe("Pacer", () => {
  it("lets the first caller through at once and the others in order with gaps between them", async () => {
    const pacer = new Pacer(20);
    const came: number[] = [];
    const startedAtMs = performance.now();
    const turns = [0, 1, 2, 3].map(async (n) => {
      await pacer.turn();
      came.push(n);
    });
    await turns[0];
    expect(came).toEqual([0]);
    await Promise.all(turns);
    expect(came).toEqual([0, 1, 2, 3]);
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(3 * 19);
  });
});
