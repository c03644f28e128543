import { describe, expect, it } from "vitest";
import { PayloadPool } from "./payload-pool.ts";

describe("PayloadPool", () => {
  it("never gives overlapping buffers of any sizes", () => {
    const pool = new PayloadPool();
    const sizes = [1, 0, 5000, 16 * 1024, 16 * 1024 + 1, 200_000, 7, 16 * 1024, 16 * 1024, 16 * 1024, 16 * 1024, 3];
    const buffers = sizes.map((size, index) => pool.allocate(size).fill(index));
    expect(buffers.map((buffer) => buffer.length)).toEqual(sizes);
    for (const [index, buffer] of buffers.entries()) expect(buffer.every((byte) => byte === index)).toBe(true);
  });

  it("cuts small buffers from one allocation and allocates large ones separately", () => {
    const pool = new PayloadPool();
    const [first, second] = [pool.allocate(100), pool.allocate(100)];
    expect(second.buffer).toBe(first.buffer);
    expect(pool.allocate(100_000).buffer.byteLength).toBe(100_000);
  });
});
