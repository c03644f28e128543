import { once } from "node:events";
import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { claimPort, freePort } from "./free-port.ts";

/** One whose guard has a number too. */
async function wishedPort(): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (port < 44_000) return port;
  }
}

describe("claimPort", () => {
  it("gives a preferred port to one of two simultaneous callers, and another port to the other", async () => {
    const wished = await wishedPort();
    const claimed = await Promise.all([claimPort(wished), claimPort(wished)]);
    expect(new Set(claimed).size).toBe(2);
    expect(claimed).toContain(wished);
  });

  it("does not give a port again before the process that claimed it listens there", async () => {
    const wished = await wishedPort();
    expect(await claimPort(wished)).toBe(wished);
    expect(await claimPort(wished)).not.toBe(wished);
  });

  it("gives another port when a process listens on the preferred one, which can be claimed later", async () => {
    const wished = await wishedPort();
    const other = createServer().listen(wished, "127.0.0.1");
    await once(other, "listening");
    expect(await claimPort(wished)).not.toBe(wished);
    other.close();
    await once(other, "close");
    expect(await claimPort(wished)).toBe(wished);
  });
});
